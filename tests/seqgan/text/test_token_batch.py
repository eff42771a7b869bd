import pytest
import torch

from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch


def trajectories():
    """Five rows whose every part says which row it is."""
    row = torch.arange(5)
    prompt = TokenBatch(row[:, None].repeat(1, 3), mask_from_lengths(torch.tensor([2, 0, 3, 2, 0]), 3))
    return Trajectories(
        row[:, None].repeat(1, 4),
        mask_from_lengths(torch.tensor([4, 1, 2, 0, 3]), 4),
        prompt=prompt,
        columns={"label": list("abcde")},
        relaxed=row[:, None, None].expand(5, 4, 6).float(),
        log_probs=-row[:, None].repeat(1, 4).float(),
    )


def check_rows(batch, rows):
    assert isinstance(batch, Trajectories)
    for part in (batch.tokens, batch.prompt.tokens, batch.relaxed[..., 0], -batch.log_probs):
        assert part[:, 0].tolist() == rows
    assert batch.lengths.tolist() == [[4, 1, 2, 0, 3][row] for row in rows]
    assert batch.columns == {"label": ["abcde"[row] for row in rows]}
    assert batch.prompt.lengths.tolist() == [[2, 0, 3, 2, 0][row] for row in rows]


def test_rows_are_selected_and_split_with_all_that_belongs_to_them():
    batch = trajectories()
    check_rows(batch.select(torch.tensor([3, 0, 0])), [3, 0, 0])
    check_rows(batch.select(slice(1, 4)), [1, 2, 3])
    for part, expected in zip(batch.split(2), [[0, 1], [2, 3], [4]], strict=True):
        check_rows(part, expected)
    (nothing,) = batch.select(slice(0)).split(2)
    assert len(nothing) == 0 and nothing.tokens.shape == (0, 4)


def test_everything_goes_to_the_device():
    moved = trajectories().to("meta")
    tensors = (moved.tokens, moved.mask, moved.relaxed, moved.log_probs, moved.prompt.tokens)
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert moved.device.type == "meta"
    assert moved.columns == trajectories().columns


def test_rows_by_length_are_all_rows_once_without_padding():
    prompt = trajectories().prompt
    groups = [(rows.tolist(), tokens.tolist()) for rows, tokens in prompt.by_length()]
    assert groups == [([1, 4], [[], []]), ([0, 3], [[0, 0], [3, 3]]), ([2], [[2, 2, 2]])]
    ((rows, tokens),) = prompt.select(slice(0)).by_length()
    assert len(rows) == 0 and tokens.shape == (0, 0)


@pytest.mark.parametrize("widths", [(3, 4), (3, 1), (0, 2), (2, 0)])
def test_joined_rows_are_prompt_and_completion_without_padding_between(widths):
    num_prompt, num_steps = widths
    lengths = torch.tensor([[num_prompt, 0], [0, num_steps], [num_prompt, num_steps], [1, 1]])
    lengths = lengths.clamp(max=torch.tensor(widths))
    prompt = TokenBatch(
        10 + torch.arange(4 * num_prompt).view(4, -1), mask_from_lengths(lengths[:, 0], num_prompt)
    )
    tokens = 50 + torch.arange(4 * num_steps).view(4, num_steps)
    batch = TokenBatch(
        tokens, mask_from_lengths(lengths[:, 1], num_steps), prompt=prompt, columns={"n": "abcd"}
    )
    joined = batch.joined()
    assert joined.tokens.shape == (4, num_prompt + num_steps) and joined.prompt is None
    for row, (before, behind) in enumerate(lengths.tolist()):
        expected = [*prompt.tokens[row, :before].tolist(), *tokens[row, :behind].tolist()]
        assert joined.tokens[row, : len(expected)].tolist() == expected
        assert joined.mask[row].tolist() == [place < len(expected) for place in range(sum(widths))]
    alone = TokenBatch(tokens, batch.mask)
    assert alone.joined() is alone


def test_rows_are_spread_over_all_or_come_again_and_again():
    batch = trajectories()
    check_rows(batch.spread(2), [0, 2])
    check_rows(batch.spread(3), [0, 1, 3])
    check_rows(batch.spread(5), [0, 1, 2, 3, 4])
    check_rows(batch.spread(7), [0, 1, 2, 3, 4, 0, 1])


def test_batches_one_after_another():
    parts = [trajectories().select(torch.tensor(rows)) for rows in ([3, 0], [1])]
    joined = TokenBatch.concatenate(parts)
    assert joined.tokens[:, 0].tolist() == joined.prompt.tokens[:, 0].tolist() == [3, 0, 1]
    assert joined.lengths.tolist() == [0, 4, 1] and joined.prompt.lengths.tolist() == [2, 2, 0]
    assert TokenBatch.concatenate([part.joined() for part in parts]).prompt is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"label": ["a"]}}, "label: has 1 rows for 2 sequences"),
        ({"prompt": trajectories().prompt}, "prompt: has 5 rows for 2 sequences"),
    ],
)
def test_what_has_other_rows_is_refused_by_name(changes, message):
    tokens = torch.zeros(2, 3, dtype=torch.long)
    with pytest.raises(ValueError, match=message):
        TokenBatch(tokens, tokens == 0, **changes)
