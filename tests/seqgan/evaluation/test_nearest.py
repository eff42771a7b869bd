"""Nearest training sequences against a naive edit distance and known values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgan.evaluation import nearest as module
from seqgan.evaluation.nearest import Neighbour, edit_distances, nearest
from seqgan.text.sequences import Sequences
from tests.references.edit_distance import edit_distance

LISTS = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=12)


def letters(*words):
    return Sequences.from_lists([[ord(letter) for letter in word] for word in words])


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("saturday", "sunday", 3), ("", "abc", 3), ("abc", "", 3), ("ab", "ba", 2)],
)
def test_known_distances(first, second, distance):
    assert edit_distances(letters(first)[0], letters(second)).tolist() == [distance]


@given(sequence=st.lists(st.integers(0, 3), max_size=6), training=LISTS, rows=st.integers(1, 4))
def test_equals_the_naive_search(sequence, training, rows):
    expected = [edit_distance(sequence, other) for other in training]
    packed, ids = Sequences.from_lists(training), np.array(sequence, np.int32)
    assert edit_distances(ids, packed).tolist() == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS", rows)
        found = nearest(ids, packed)
    assert found == Neighbour(expected.index(min(expected)), min(expected))


def test_a_copy_is_at_distance_0_and_the_first_of_several_is_named():
    training = letters("the", "cat", "sat", "cat")
    assert nearest(letters("cat")[0], training) == Neighbour(1, 0)
    assert nearest(letters("bat")[0], training) == Neighbour(1, 1)
    assert nearest(letters("xyzxyz")[0], training).distance == 6


def test_in_a_large_text_few_sequences_are_compared(monkeypatch):
    rng = np.random.default_rng(0)
    training = Sequences.from_array(rng.integers(0, 2000, (30_000, 12)))
    compared = []

    def counted(sequence, others):
        compared.append(len(others))
        return edit_distances(sequence, others)

    monkeypatch.setattr(module, "edit_distances", counted)
    changed = training[20_000].copy()
    changed[[2, 7]] = 2001
    assert nearest(changed, training) == Neighbour(20_000, 2)
    assert sum(compared) <= module.ROWS


def test_without_training_text_it_is_refused():
    with pytest.raises(ValueError, match="training: there are no sequences"):
        nearest(np.array([1], np.int32), Sequences.from_lists([]))
