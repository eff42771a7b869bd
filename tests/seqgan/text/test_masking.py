import torch

from seqgan.text.masking import mask_from_lengths, mask_from_tokens, masked_mean, masked_whiten

EOS = 2


def test_mask_reaches_up_to_and_including_the_first_eos():
    tokens = torch.tensor([[3, EOS, EOS, 3], [EOS, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, EOS]])
    assert mask_from_tokens(tokens, EOS).tolist() == [
        [True, True, False, False],
        [True, False, False, False],
        [True] * 4,
        [True] * 4,
    ]


def test_without_eos_everything_is_real():
    assert mask_from_tokens(torch.tensor([[2, 2]]), None).all()


def test_mask_from_lengths():
    assert mask_from_lengths(torch.tensor([0, 2, 3]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_masked_mean_sees_no_padding_not_even_nan():
    values = torch.tensor([[1.0, float("nan")], [2.0, 6.0]])
    mask = torch.tensor([[True, False], [True, True]])
    assert masked_mean(values, mask) == 3.0
    assert masked_mean(values, torch.zeros(2, 2, dtype=torch.bool)) == 0.0


def test_whitened_values_have_mean_0_and_variance_1_over_the_mask_and_are_0_outside():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(5, 7, generator=generator) * 3 + 11
    mask = torch.rand(5, 7, generator=generator) < 0.6
    whitened = masked_whiten(values, mask)
    kept = whitened[mask]
    torch.testing.assert_close(kept.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(kept.var(correction=0), torch.tensor(1.0), atol=1e-4, rtol=0)
    assert (whitened[~mask] == 0).all()
    assert (whitened[mask].argsort() == values[mask].argsort()).all()
