import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgan.text.batching import Batches, pad
from seqgan.text.context import Part
from seqgan.text.masking import mask_from_lengths
from seqgan.text.sequences import Sequences

LISTS = st.lists(st.lists(st.integers(2, 9), min_size=1, max_size=7), max_size=12)


def example(number: int) -> Sequences:
    return Sequences.from_lists([[n + 10] * (1 + n % 5) for n in range(number)])


def rows_of(batch) -> list[int]:
    return (batch.tokens[:, 0] - 10).tolist()


@pytest.mark.slow
@given(LISTS)
def test_sequences_keep_lists(lists):
    sequences = Sequences.from_lists(lists)
    assert [s.tolist() for s in (sequences[i] for i in range(len(sequences)))] == lists
    assert sequences.lengths.tolist() == [len(s) for s in lists]
    assert sequences.ids.dtype == np.int32


@pytest.mark.slow
@given(LISTS, st.data())
def test_select_takes_rows_in_order(lists, data):
    rows = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=8)) if lists else []
    chosen = Sequences.from_lists(lists).select(np.array(rows, np.int64))
    assert [chosen[i].tolist() for i in range(len(chosen))] == [lists[row] for row in rows]


@given(LISTS, st.integers(0, 3))
def test_pad_equals_a_loop(lists, extra):
    longest = max(map(len, lists), default=0)
    for length in (None, longest + extra):
        batch = pad(Sequences.from_lists(lists), 1, length)
        width = longest if length is None else length
        assert batch.tokens.tolist() == [s + [1] * (width - len(s)) for s in lists]
        assert batch.mask.tolist() == [[t < len(s) for t in range(width)] for s in lists]
        assert torch.equal(
            batch.mask, mask_from_lengths(torch.tensor(list(map(len, lists)), dtype=torch.int64), width)
        )
        assert batch.tokens.dtype == torch.int64


def test_padding_value_never_decides_what_is_real():
    batch = pad(Sequences.from_lists([[0, 0, 0], [0]]), 0)
    assert batch.mask.tolist() == [[True] * 3, [True, False, False]]


def test_pad_refuses_to_cut():
    with pytest.raises(ValueError, match="3 tokens does not fit into 2"):
        pad(Sequences.from_lists([[1, 2, 3]]), 0, 2)


def test_from_array():
    array = np.arange(12).reshape(4, 3)
    sequences = Sequences.from_array(array)
    assert torch.equal(pad(sequences, 0).tokens, torch.from_numpy(array))


@pytest.mark.parametrize("offsets", [[], [0], [1, 3], [0, 2], [0, 2, 1, 3], [0, 4]])
def test_offsets_must_fit(offsets):
    with pytest.raises(ValueError, match="offsets"):
        Sequences(np.arange(3, dtype=np.int32), np.array(offsets, np.int64))


@settings(max_examples=40)
@given(st.integers(1, 25), st.integers(1, 9), st.booleans(), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_holds_every_sequence_once(number, batch_size, drop_last, seed, epoch):
    if drop_last and number < batch_size:
        return
    batches = Batches(Part(example(number)), batch_size=batch_size, pad_id=0, seed=seed, drop_last=drop_last)
    seen = [rows_of(batch) for batch in batches.epoch(epoch)]
    assert len(seen) == batches.num_batches
    rows = list(itertools.chain(*seen))
    assert len(set(rows)) == len(rows)
    if drop_last:
        assert all(len(batch) == batch_size for batch in seen) and number - len(rows) < batch_size
    else:
        assert sorted(rows) == list(range(number))
    for batch in batches.epoch(epoch):
        assert all(
            (tokens[mask] == tokens[0]).all() for tokens, mask in zip(batch.tokens, batch.mask, strict=True)
        )
        assert batch.mask.sum(1).tolist() == [1 + row % 5 for row in rows_of(batch)]
        assert batch.mask.any(0).all()  # trimmed to the longest


def test_any_position_can_be_reached_without_reading_the_others():
    make = lambda: Batches(Part(example(23)), batch_size=4, pad_id=0, seed=3)  # noqa: E731
    straight = [batch for epoch in range(3) for batch in make().epoch(epoch)]
    for epoch, start in [(0, 0), (2, 5), (1, 3), (2, 0)]:
        resumed = list(make().epoch(epoch, start))
        expected = straight[epoch * 6 + start : (epoch + 1) * 6]
        assert len(resumed) == len(expected)
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(resumed, expected, strict=True))


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else():
    def order(seed, epoch):
        torch.rand(1)  # the global generator does not matter
        return Batches(Part(example(50)), batch_size=4, pad_id=0, seed=seed).order(epoch).tolist()

    assert order(1, 1) == order(1, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16
    state = torch.get_rng_state()
    Batches(Part(example(50)), batch_size=4, pad_id=0, seed=0).batch_at(0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_orders_are_uniform():
    batches = Batches(Part(example(6)), batch_size=6, pad_id=0, seed=0)
    first = np.bincount([batches.order(epoch)[0] for epoch in range(3000)], minlength=6)
    assert np.abs(first - 500).max() < 5 * 20.4  # five standard deviations


def test_static_width():
    batches = Batches(Part(example(10)), batch_size=3, pad_id=0, seed=0, length=8)
    assert {batch.tokens.shape[1] for batch in batches.epoch(0)} == {8}


def test_positions_outside_and_epochs_without_batches():
    batches = Batches(Part(example(10)), batch_size=3, pad_id=0, seed=0)
    assert batches.num_batches == 4
    with pytest.raises(IndexError):
        batches.batch_at(0, 4)
    with pytest.raises(ValueError, match="10 sequences do not fill one batch of 11"):
        Batches(Part(example(10)), batch_size=11, pad_id=0, seed=0, drop_last=True)


def test_batch_moves_to_a_device():
    batch = pad(example(3), 0).to("meta")
    assert batch.tokens.is_meta and batch.mask.is_meta and len(batch) == 3
