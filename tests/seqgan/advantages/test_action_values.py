import pytest
import torch

from seqgan.advantages.action_values import ActionValues, normalise_advantages
from seqgan.text.token_batch import TokenBatch, replace_tokens

MASK = torch.tensor([[True, True], [True, False]])


def test_advantages_are_values_less_baseline_and_nothing_behind_the_mask():
    values = ActionValues(
        actions=torch.zeros(2, 2, 2, dtype=torch.long),
        values=torch.tensor([[[1.0, 3.0], [5.0, 0.0]], [[2.0, 2.0], [777.0, 777.0]]]),
        baseline=torch.ones(2, 2, 2),
        mask=MASK,
    )
    assert values.advantages.tolist() == [[[0, 2], [4, -1]], [[1, 1], [0, 0]]]


def test_advantages_are_whitened_over_the_real_actions_and_clipped():
    plain = torch.tensor([[[0.0], [2.0]], [[4.0], [0.0]]])
    assert torch.equal(normalise_advantages(plain, MASK, whiten=False, clip=None), plain)
    clipped = normalise_advantages(plain, MASK, whiten=False, clip=3.0)
    assert clipped.tolist() == [[[0.0], [2.0]], [[3.0], [0.0]]]
    white = normalise_advantages(plain, MASK, whiten=True, clip=None)[..., 0]
    torch.testing.assert_close(white, torch.tensor([[-(1.5**0.5), 0.0], [1.5**0.5, 0.0]]))
    both = normalise_advantages(plain, MASK, whiten=True, clip=1.0)[..., 0]
    assert both.tolist() == [[-1.0, 0.0], [1.0, 0.0]]  # clipped after it is whitened
    several = normalise_advantages(torch.randn(2, 2, 500) * 3 + 1, MASK, whiten=True, clip=None)
    torch.testing.assert_close(several[MASK].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(several[MASK].var(correction=0), torch.tensor(1.0), atol=1e-4, rtol=0)
    assert (several[~MASK] == 0).all()


def test_new_tokens_keep_prompt_and_columns_of_the_rows_that_they_come_from():
    prompt = TokenBatch(torch.tensor([[1], [2]]), torch.ones(2, 1, dtype=torch.bool))
    batch = TokenBatch(torch.zeros(2, 2, dtype=torch.long), MASK, prompt=prompt, columns={"name": ["a", "b"]})
    tokens, mask = torch.arange(9).view(3, 3), torch.ones(3, 3, dtype=torch.bool)
    found = replace_tokens(batch, torch.tensor([1, 0, 1]), tokens, mask)
    assert torch.equal(found.tokens, tokens)
    assert found.prompt.tokens.tolist() == [[2], [1], [2]]
    assert found.columns == {"name": ["b", "a", "b"]}
    bare = replace_tokens(TokenBatch(batch.tokens, MASK), torch.tensor([1, 0, 1]), tokens, mask)
    assert bare.prompt is None and not bare.columns


def test_shapes_that_do_not_belong_together_are_refused():
    """By name and shape, for estimators from outside; with run-time type checks those speak first."""
    good = {name: torch.zeros(2, 2, 3) for name in ("values", "baseline")}
    good |= {"actions": torch.zeros(2, 2, 3, dtype=torch.long), "mask": MASK}
    for name, part in (
        ("values", torch.zeros(2, 2)),
        ("baseline", torch.zeros(2, 2, 1)),
        ("mask", MASK[:, :1]),
    ):
        with pytest.raises((ValueError, TypeError)):
            ActionValues(**{**good, name: part})
