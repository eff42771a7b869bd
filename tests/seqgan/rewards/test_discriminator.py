import pytest
import torch

from seqgan.rewards.discriminator import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import rng, tiny_cnn

TOKENS = torch.randint(0, 6, (5, 4), generator=rng())
MASK = torch.arange(4) < torch.tensor([4, 1, 3, 2, 4])[:, None]


@pytest.mark.parametrize("transform", ["logit", "probability"])
def test_it_is_the_score_or_the_probability_of_the_discriminator_as_it_is_now(transform):
    cnn = tiny_cnn(6).train()
    reward = DiscriminatorReward(DiscriminatorRewardSettings(transform=transform), discriminator=cnn)
    for _ in range(2):
        logits = cnn.score(TokenBatch(TOKENS, MASK))
        odds = logits.exp()
        expected = logits if transform == "logit" else odds / (1 + odds)
        torch.testing.assert_close(reward(TokenBatch(TOKENS, MASK)), expected)
        assert not reward(TokenBatch(TOKENS, MASK)).requires_grad
        with torch.no_grad():
            cnn.output_bias.add_(1.0)  # it goes on learning: no copy of it may judge
