"""The hierarchical generator against the paper's own form: matrices O_t, and goals summed up by a loop."""

import copy
import dataclasses

import pytest
import torch
from torch.nn import functional

from leakgan.generator import LeakGANGenerator, LeakGANSettings
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorSettings
from seqgan.sampling.sample import sample
from seqgan.text.token_batch import TokenBatch
from tests.seqgan.models import test_generators
from tests.seqgan.models.test_generators import read_step_by_step
from tests.tiny_models import HIERARCHICAL_KINDS, rng, tiny_cnn, tiny_generator, whole

EOS = 2


def paper_logits(generator, tokens):
    """O_t · W_psi (g_t + ... + g_{t-C+1}) for one sequence, the manager's LSTM one step at a time."""
    manager, size = generator.manager, generator.settings.goal_size
    worker = generator.worker.encode(generator.inputs(tokens[None]))[0]
    matrix_weights = generator.head.weight.unflatten(1, (-1, size))  # W_o and b_o: V matrices (H + 1, K)
    features = generator.features.of_prefixes(tokens[None])[0]
    state, past = None, [generator.initial_goal] * generator.settings.horizon
    logits = []
    for hidden, feature in zip(worker, features[:-1], strict=True):
        output, state = manager.lstm(feature[None], state)
        raw = manager.goal.weight @ output[0] + manager.goal.bias
        past = [*past, raw / raw.norm()]
        goal_embedding = generator.goal_embedding @ sum(past[-generator.settings.horizon :])
        matrix = torch.stack(
            [hidden @ weight[:-1] + weight[-1] for weight in matrix_weights]  # O_t, row by row: (V, K)
        )
        logits.append(matrix @ goal_embedding + generator.head.bias + generator.head.forbidden_logits)
    return torch.stack(logits)


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [1, 2, 4, 20])
@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_logits_are_those_of_the_papers_matrices(kind, horizon):
    generator = tiny_generator(kind, 7, horizon=horizon, forbidden=(0,)).eval()
    tokens = torch.randint(0, 7, (3, 9), generator=rng())
    with torch.no_grad():
        for parameter in generator.manager.parameters():
            if parameter.dim() == 1:  # the manager's biases start from 0
                parameter.normal_(generator=rng(3))
        ours, read = generator(whole(tokens)), read_step_by_step(generator, tokens)
        for row in range(3):
            theirs = paper_logits(generator, tokens[row])
            torch.testing.assert_close(ours[row], theirs, atol=1e-4, rtol=1e-5)
            torch.testing.assert_close(read[row], theirs, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_step_by_step_equals_teacher_forced_with_ends_in_the_batch(kind):
    generator = tiny_generator(kind, 6, horizon=3, forbidden=(0,)).eval()
    trajectories = sample(generator, 60, 8, eos_id=EOS, rng=rng())
    lengths = trajectories.mask.sum(1)
    assert lengths.min() < 6 < lengths.max()
    with torch.no_grad():
        torch.testing.assert_close(
            read_step_by_step(generator, trajectories.tokens),
            generator(trajectories),
            atol=1e-5,
            rtol=1e-5,
        )


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_sampled_log_probabilities_belong_to_what_was_sampled(kind, temperature):
    generator = tiny_generator(kind, 9, horizon=3).eval()
    trajectories = sample(generator, 30, 7, eos_id=EOS, rng=rng(), temperature=temperature)
    with torch.no_grad():
        expected = generator.log_probs(trajectories, temperature)
    torch.testing.assert_close(
        trajectories.log_probs, torch.where(trajectories.mask, expected, 0.0), atol=2e-5, rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_saved_and_loaded_the_same_samples_at_another_batch_size(kind, tmp_path):
    generator = tiny_generator(kind, 20)
    torch.save(generator.state_dict(), tmp_path / "generator.pt")
    loaded = tiny_generator(kind, 20, seed=5)
    before = sample(loaded, 40, 6, eos_id=EOS, rng=rng())
    loaded.load_state_dict(torch.load(tmp_path / "generator.pt", weights_only=True))
    first = sample(generator, 40, 6, eos_id=EOS, rng=rng())
    assert not torch.equal(before.tokens, first.tokens)
    for batch_size in (1, 7, 40):
        again = sample(loaded, 40, 6, eos_id=EOS, rng=rng(), batch_size=batch_size)
        assert torch.equal(again.tokens, first.tokens)
        torch.testing.assert_close(again.log_probs, first.log_probs)


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_goals_have_length_one_and_the_initial_one_belongs_to_no_batch(kind):
    generator = tiny_generator(kind, 7, horizon=3)
    num_features = generator.features.size
    assert generator.initial_goal.shape == (num_features,)
    plan = generator.plan(whole(torch.randint(0, 7, (4, 6), generator=rng())))
    torch.testing.assert_close(plan.goals.norm(dim=-1), torch.ones(4, 6))
    raw = plan.goals * plan.norms[..., None]
    torch.testing.assert_close(generator.manager(plan.features[:, :-1]), raw)
    assert plan.features.shape == (4, 7, num_features)


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_a_goal_is_set_by_the_prefix_that_the_next_token_follows(kind):
    """g_t depends on y_1..y_t, and on nothing later; the first token's logits on the empty prefix."""
    generator = tiny_generator(kind, 7).eval()
    tokens = torch.tensor([[1, 2, 3, 4, 5]])
    for step in range(5):
        changed = tokens.clone()
        changed[0, step] = 6
        differs = (generator.plan(whole(tokens)).goals - generator.plan(whole(changed)).goals)[0].norm(
            dim=-1
        ) > 1e-4
        assert differs.tolist() == [t > step for t in range(5)]
        features = (generator.plan(whole(tokens)).features - generator.plan(whole(changed)).features)[0].norm(
            dim=-1
        ) > 1e-4
        assert not features[: step + 1].any()
        assert features[step + 1]


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_a_step_sums_the_last_goals_in_a_sliding_window(horizon):
    """Another goal changes the logits of its own step and of the C − 1 after it, whatever the step."""
    generator = tiny_generator("leakgan", 7, horizon=horizon).eval()
    inputs = torch.randint(0, 7, (1, 8), generator=rng())
    goals = functional.normalize(torch.randn(1, 8, generator.features.size, generator=rng(1)), dim=-1)
    before = generator.follow(inputs, goals)
    for step in range(8):
        other = goals.clone()
        other[:, step] *= -1
        differs = (generator.follow(inputs, other) - before)[0].abs().amax(-1) > 1e-4
        assert differs.tolist() == [step <= t < step + horizon for t in range(8)]
    with torch.no_grad():
        generator.initial_goal.mul_(-1)
    differs = (generator.follow(inputs, goals) - before)[0].abs().amax(-1) > 1e-4
    assert differs.tolist() == [t < horizon - 1 for t in range(8)]


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_the_likelihood_reaches_all_of_the_worker_and_nothing_else(kind):
    generator = tiny_generator(kind, 7, horizon=3)
    generator.log_probs(whole(torch.randint(0, 7, (16, 8), generator=rng()))).sum().backward()
    positions = "worker.positions"
    for name, parameter in generator.named_parameters():
        if name.startswith("manager"):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.norm() > 0 or name.startswith(positions), name
    assert all(parameter.grad is None for parameter in generator.features.cnn.parameters())


def test_the_initial_goal_of_a_horizon_of_one_is_never_read():
    generator = tiny_generator("leakgan", 7, horizon=1)
    tokens = torch.randint(0, 7, (2, 4), generator=rng())
    before = generator(whole(tokens))
    with torch.no_grad():
        generator.initial_goal.add_(5.0)
    assert torch.equal(generator(whole(tokens)), before)
    torch.testing.assert_close(read_step_by_step(generator, tokens), before, atol=1e-5, rtol=1e-5)


def test_no_tensor_of_batch_vocabulary_and_goal_size_is_built():
    """A (B, V, K) matrix at full size would be 64 · 5000 · 16 numbers; nothing of the sort passes through."""
    generator = LeakGANGenerator(
        LeakGANSettings(), vocabulary_size=5000, bos_id=0, discriminator=tiny_cnn(5000), rng=rng()
    )

    class Largest(torch.overrides.TorchFunctionMode):
        size = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.shape[:1] == (64,):
                self.size = max(self.size, result.numel())
            return result

    with Largest() as largest, torch.no_grad():
        test_generators.step(generator, torch.zeros(64, dtype=torch.long), generator.initial_state(64))
    assert largest.size == 64 * 5000


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_the_head_is_the_workers_and_saved_once(kind):
    generator = tiny_generator(kind, 7, forbidden=(0,))
    assert generator.head is generator.worker.head
    heads = [name for name in generator.state_dict() if name.endswith("head.weight")]
    assert heads == ["worker.head.weight"]
    assert (generator(whole(torch.tensor([[1, 2]]))).softmax(-1)[..., 0] == 0).all()


def test_its_companion_is_the_whole_discriminator_and_that_of_its_copies_too():
    settings = CNNAndPairsDiscriminatorSettings(cnn=tiny_cnn(5).settings)
    discriminator = CNNAndPairsDiscriminator(settings, vocabulary_size=5, rng=rng())
    generator = LeakGANGenerator(
        LeakGANSettings(), vocabulary_size=5, bos_id=0, discriminator=discriminator, rng=rng()
    )
    assert generator.features.cnn is discriminator.cnn
    assert generator.companions() == {"discriminator": discriminator}
    assert copy.deepcopy(generator).companions() == {"discriminator": discriminator}
    assert tiny_generator("lstm").companions() == {}


def test_goals_are_projected_without_losing_a_distance():
    """Five goals in nine features: sixteen directions hold all of their differences."""
    generator = tiny_generator("leakgan", 5)
    words = ["<pad>", "a", "b", "c", "d"]
    batch = TokenBatch(torch.tensor([[1, 2, 3], [4, 4, 0]]), torch.tensor([[True] * 3, [True, True, False]]))
    projection = generator.projections(batch, words)["goals"]
    assert projection.columns == {
        "next token": ["a", "b", "c", "d", "d"],
        "sentence": ["s00"] * 3 + ["s01"] * 2,
        "step": [0, 1, 2, 0, 1],
    }
    goals = generator.plan(batch).goals[batch.mask].detach()
    torch.testing.assert_close(torch.pdist(projection.vectors), torch.pdist(goals), atol=1e-5, rtol=1e-4)
    assert tiny_generator("lstm", 5).projections(batch, words) == {}


def test_prompts_cannot_be_planned():
    generator, batch = tiny_generator("leakgan", 5), whole(torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match="prompt: "):
        generator.plan(dataclasses.replace(batch, prompt=batch))
