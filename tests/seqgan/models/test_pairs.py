"""The pairs discriminator against values computed by hand."""

import pytest
import torch

from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import whole


def build(distances: tuple[int, ...] = (1,), l2: float = 2e-4) -> PairsDiscriminator:
    config = PairsDiscriminatorSettings(rank=3, distances=distances, l2=l2, initial_scale=1.0)
    rng = torch.Generator().manual_seed(0)
    discriminator = PairsDiscriminator(config, vocabulary_size=5, rng=rng)
    torch.nn.init.normal_(discriminator.token_biases, generator=rng)
    return discriminator.requires_grad_(False)


def test_logit_by_hand() -> None:
    discriminator = build().requires_grad_(False)
    discriminator.start_vectors[0, 0] = torch.tensor([1.0, 0.0, 2.0])
    discriminator.previous_vectors[0, 4] = torch.tensor([0.5, 1.0, 0.0])
    discriminator.current_vectors[0, 4] = torch.tensor([3.0, 9.0, 1.0])
    discriminator.current_vectors[0, 2] = torch.tensor([2.0, -1.0, 7.0])
    discriminator.token_biases[4], discriminator.token_biases[2] = 10.0, 20.0
    discriminator.bias.fill_(100.0)
    batch = TokenBatch(torch.tensor([[4, 2, 0]]), torch.tensor([[True, True, False]]))
    # Start to 4: 3 + 2 = 5, bias 10. Then 4 to 2: 1 - 1 = 0, bias 20.
    assert discriminator.logits(batch).tolist() == [135.0]
    assert discriminator.prefix_logits(batch).tolist() == [[115.0, 135.0, 135.0]]


@pytest.mark.parametrize("distances", [(1,), (2,), (1, 2), (3, 1), (9,)])
def test_equals_a_loop_over_tokens(distances: tuple[int, ...]) -> None:
    discriminator = build(distances)
    tokens = torch.randint(5, (6, 5), generator=torch.Generator().manual_seed(1))
    expected = []
    for row in tokens.tolist():
        total = discriminator.bias.item()
        for step, token in enumerate(row):
            total += discriminator.token_biases[token].item()
            for i, distance in enumerate(distances):
                before = discriminator.start_vectors[i, 0]
                if step >= distance:
                    before = discriminator.previous_vectors[i, row[step - distance]]
                total += (before @ discriminator.current_vectors[i, token]).item()
        expected.append(total)
    logits = discriminator.logits(whole(tokens))
    torch.testing.assert_close(logits, torch.tensor(expected))


def test_penalty_takes_all_parameters() -> None:
    discriminator = build(l2=0.5)
    for parameter in discriminator.parameters():
        parameter.fill_(2.0)
    count = 3 + 5 * 3 + 5 * 3 + 5 + 1
    assert discriminator.penalty().item() == pytest.approx(0.5 * 0.5 * 4.0 * count)


@pytest.mark.parametrize("distances", [(), (1, 1)])
def test_distances_that_make_no_sense(distances: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"--discriminator\.distances"):
        build(distances)
