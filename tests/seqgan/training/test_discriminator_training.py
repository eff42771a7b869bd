import copy
import math
from collections import Counter

import pytest
import torch

from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from seqgan.training.discriminator import DiscriminatorTrainer, DiscriminatorTrainingSettings
from seqgan.training.schedule import Phase, PhaseRun, Turn
from tests.tiny_models import rng, tiny_cnn, tiny_generator

LENGTH = 4


def text(seed, number=120):
    """Real text: token 1 is always followed by token 2, which no generated text knows."""
    tokens = torch.randint(1, 6, (number, LENGTH), generator=rng(seed))
    tokens[:, 1:][tokens[:, :-1] == 1] = 2
    return TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))


def make_trainer(
    seed=0, policy=None, train=None, validation=None, sampling=None, discriminator=None, **settings
):
    defaults = {"epochs": 2, "batch_size": 20, "learning_rate": 0.03}
    return DiscriminatorTrainer(
        DiscriminatorTrainingSettings(**defaults | settings),
        discriminator=discriminator
        or PairsDiscriminator(PairsDiscriminatorSettings(rank=4, l2=1e-3), vocabulary_size=6, rng=rng(seed)),
        policy=policy or tiny_generator("lstm", 6, scale=0.1, forbidden=(0,)),
        train=train or text(1),
        validation=validation or text(2, 60),
        sampling=sampling or SamplingSettings(),
        eos_id=None,
        pad_id=0,
        max_length=LENGTH,
        rng=rng(seed + 100),
        seed=seed,
    )


def make_phase(trainer, rounds=4, patience=5):
    phase = Phase(
        "discriminator",
        rounds,
        [Turn("discriminator", trainer.steps_per_turn)],
        patience=patience,
        keep_best=True,
    )
    trainers = {"discriminator": trainer}
    return PhaseRun(phase, trainers, assess=trainer.assess, kept=trainer.discriminator)


def run(phase):
    """Go through a phase; give the reports of its steps."""
    phase.start()
    reports = []
    while not phase.done:
        reports.append(phase.advance().report)
    phase.finish()
    return reports


def with_prompts(batch, seed):
    """A prompt of one or two tokens before each row, which says which row it is by a column."""
    number = len(batch)
    lengths = torch.randint(1, 3, (number,), generator=rng(seed))
    columns = {"row": list(range(number))}
    tokens = torch.randint(1, 6, (number, 2), generator=rng(seed + 1))
    prompt = TokenBatch(tokens, mask_from_lengths(lengths, 2), columns=columns)
    return TokenBatch(batch.tokens, batch.mask, prompt=prompt, columns=columns)


def test_what_completes_prompts_is_judged_with_them_and_negatives_complete_those_of_training():
    train, validation = with_prompts(text(1, 30), 5), with_prompts(text(2, 20), 6)
    trainer = make_trainer(train=train, validation=validation, num_negatives=20)
    seen = []
    logits = trainer.discriminator.logits
    trainer.discriminator.logits = lambda batch: seen.append(batch) or logits(batch)
    trainer.step()
    drawn = trainer.negatives
    asked = [
        tuple(row[:length]) for row, length in zip(drawn.tokens.tolist(), drawn.lengths - LENGTH, strict=True)
    ]
    lengths = train.prompt.lengths.tolist()
    known = [tuple(row[:length]) for row, length in zip(train.prompt.tokens.tolist(), lengths, strict=True)]
    assert not Counter(asked) - Counter(known) and asked != [known[n * 30 // 20] for n in range(20)]
    judged = seen[:3]  # of samples, of training text and of held-out text
    assert [len(each) for each in judged] == [20, 20, 20]
    assert judged[2].tokens.tolist() == validation.joined().tokens.tolist()
    (batch,) = [batch for batch in seen if len(batch) == 20 and batch.tokens.shape[1] == 2 + LENGTH][-1:]
    real = {tuple(row) for row in train.joined().tokens.tolist()}
    assert all(tuple(row) in real for row in batch.tokens[:10].tolist())
    fake = {tuple(row) for row in drawn.tokens.tolist()}
    assert all(tuple(row) in fake for row in batch.tokens[10:].tolist())
    state = trainer.state_dict()
    resumed = make_trainer(train=train, validation=validation, num_negatives=20)
    resumed.load_state_dict(state)
    assert torch.equal(resumed.negatives.tokens, drawn.tokens)


def test_a_score_is_that_of_prompt_and_completion():
    batch, discriminator = with_prompts(text(1, 12), 5), tiny_cnn(6)
    alone = []
    for row in range(12):
        prompt = batch.prompt.tokens[row, batch.prompt.mask[row]]
        tokens = torch.cat([prompt, batch.tokens[row]])[None]
        alone.append(discriminator.eval().logits(TokenBatch(tokens, torch.ones_like(tokens).bool())))
    torch.testing.assert_close(discriminator.score(batch), torch.cat(alone).detach())
    others = TokenBatch(batch.tokens, batch.mask)
    assert not torch.allclose(discriminator.score(others), torch.cat(alone).detach())


@pytest.mark.slow
def test_it_learns_to_tell_real_from_generated_and_says_so_for_held_out_text():
    trainer = make_trainer()
    results = run(make_phase(trainer))
    metrics = trainer.refresh()
    assert float(results[0].metrics["discriminator/auc_held_out"]) == pytest.approx(0.5, abs=0.15)
    assert float(metrics["discriminator/auc_held_out"]) > 0.7
    assert float(metrics["discriminator/accuracy_held_out"]) > 0.6
    assert float(metrics["discriminator/loss_held_out"]) < 0.65
    first = results[0].metrics
    assert float(first["discriminator/loss_held_out"]) == pytest.approx(math.log(2), abs=0.1)
    assert float(first["discriminator/accuracy_train"]) == pytest.approx(0.5, abs=0.15)
    assert float(results[-1].metrics["discriminator/accuracy"]) > 0.6


def test_negatives_are_fresh_in_every_turn_and_gone_through_epochs_times():
    trainer = make_trainer()
    reports, drawn = [], []
    for _ in range(2):
        for _ in range(trainer.steps_per_turn - 1):
            reports.append(trainer.step())
            drawn.append(trainer.negatives.tokens)
        reports.append(trainer.step())
        assert trainer.negatives is None  # the set has been gone through
    assert trainer.steps_per_turn == 2 * 12
    assert [report.always for report in reports] == [True, *[False] * 23] * 2
    assert drawn[0] is drawn[22]
    assert not torch.equal(drawn[0], drawn[23])
    assert len(drawn[0]) == 120


def test_a_set_that_has_been_assessed_is_the_next_that_is_trained_on():
    trainer = make_trainer()
    figure = trainer.assess()
    drawn = trainer.negatives
    assert figure.loss == -float(figure.metrics["discriminator/auc_held_out"])
    report = trainer.step()
    assert trainer.negatives is drawn
    assert not report.always
    assert "discriminator/auc_held_out" not in report.metrics


def test_a_phase_begins_with_negatives_of_the_policy_as_it_then_is():
    trainer = make_trainer()
    trainer.step()
    trainer.start()
    assert trainer.negatives is None
    with torch.no_grad():
        trainer.policy.head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 50.0]))
    trainer.step()
    assert (trainer.negatives.tokens == 5).all()
    assert trainer.num_steps == 1


def test_negatives_are_sampled_as_the_policy_acts():
    def drawn(**sampling):
        return sample(trainer.policy, 120, LENGTH, eos_id=None, rng=rng(100), **sampling)

    policy, sampling = tiny_generator("lstm", 6), {"temperature": 0.3, "precision": "bfloat16"}
    trainer = make_trainer(policy=policy, sampling=SamplingSettings(**sampling))
    trainer.refresh()
    expected = drawn(**sampling)
    assert torch.equal(trainer.negatives.tokens, expected.tokens)
    assert torch.equal(trainer.negatives.log_probs, expected.log_probs)
    assert not torch.equal(drawn(temperature=0.3).log_probs, expected.log_probs)
    assert not torch.equal(drawn(precision="bfloat16").tokens, expected.tokens)


def test_an_epoch_uses_every_real_sequence_and_every_negative_once(monkeypatch):
    trainer = make_trainer(num_negatives=50, batch_size=16)
    batches = []
    trainer.refresh()
    logits = trainer.discriminator.logits
    monkeypatch.setattr(
        trainer.discriminator, "logits", lambda batch: (batches.append(batch.tokens), logits(batch))[1]
    )
    for _ in range(trainer.steps_per_epoch):
        trainer.step()
    assert [len(tokens) for tokens in batches] == [16] * 6 + [4]
    halves = [tokens.chunk(2) for tokens in batches]
    reals, fakes = (torch.cat(side) for side in zip(*halves, strict=True))
    assert sorted(map(tuple, fakes.tolist())) == sorted(map(tuple, trainer.negatives.tokens.tolist()))
    assert len(reals) == 50
    assert set(map(tuple, reals.tolist())) <= set(map(tuple, trainer.train.tokens.tolist()))


def test_every_epoch_has_an_order_of_its_own_on_both_sides(monkeypatch):
    trainer = make_trainer(epochs=2, batch_size=240)
    trainer.refresh()
    batches = []
    logits = trainer.discriminator.logits
    monkeypatch.setattr(
        trainer.discriminator, "logits", lambda batch: (batches.append(batch.tokens), logits(batch))[1]
    )
    for _ in range(2):
        trainer.step()
    for first, second in zip(*(tokens.chunk(2) for tokens in batches[:2]), strict=True):
        assert not torch.equal(first, second)
        assert sorted(first.tolist()) == sorted(second.tolist())


@pytest.mark.slow
def test_random_text_cannot_be_told_apart_when_held_out_but_is_memorised():
    """The figure that matters is the held-out one: on text without structure it stays at a half."""
    tokens = torch.randint(1, 6, (30, LENGTH), generator=rng(5))
    noise = TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))
    uniform = tiny_generator("lstm", 6, forbidden=(0,))
    with torch.no_grad():
        uniform.head.weight.zero_()
        uniform.head.bias.zero_()
    other = torch.randint(1, 6, (400, LENGTH), generator=rng(6))
    held_out = TokenBatch(other, torch.ones(400, LENGTH).bool())
    trainer = make_trainer(policy=uniform, train=noise, validation=held_out, learning_rate=0.1)
    for _ in range(20 * trainer.steps_per_turn):
        trainer.step()
    trainer.num_negatives = 400
    metrics = trainer.refresh()
    assert float(metrics["discriminator/auc_held_out"]) == pytest.approx(0.5, abs=0.06)
    assert float(metrics["discriminator/auc_train"]) > 0.6


@pytest.mark.slow
def test_early_stopping_hands_on_the_weights_that_were_measured_best(monkeypatch):
    trainer = make_trainer()
    figures = iter([0.6, 0.8, 0.7, 0.75])
    measured = []

    def measure(negatives):
        measured.append(copy.deepcopy(trainer.discriminator.state_dict()))
        return {"discriminator/auc_held_out": torch.tensor(next(figures, 0.5))}

    trainer.refresh()
    monkeypatch.setattr(trainer, "measure", measure)
    phase = make_phase(trainer, rounds=30, patience=2)
    monkeypatch.setattr(trainer, "start", lambda: None)
    run(phase)
    assert phase.step == 4 * trainer.steps_per_turn
    for name, value in trainer.discriminator.state_dict().items():
        assert torch.equal(value, measured[1][name])


def test_the_training_text_is_measured_by_a_random_part_of_it():
    """The lines of a file may be sorted: its first ones are not the text."""
    low, high = torch.full((60, LENGTH), 1), torch.full((60, LENGTH), 5)
    both = torch.cat([low, high])
    trainer = make_trainer(train=TokenBatch(both, torch.ones_like(both).bool()))
    seen = []
    score = trainer.discriminator.score
    trainer.discriminator.score = lambda batch: (seen.append(batch.tokens), score(batch))[1]
    trainer.refresh()
    of_training_text = seen[1]
    assert len(of_training_text) == 60
    assert 0.2 < float((of_training_text == 5).float().mean()) < 0.8


def test_held_out_figures_are_of_validation_text_and_training_figures_of_training_text():
    def only(token):
        tokens = torch.full((60, LENGTH), token)
        return TokenBatch(tokens, torch.ones_like(tokens).bool())

    trainer = make_trainer(train=only(1), validation=only(5))
    with torch.no_grad():  # the more of token 1, the more real; the more of token 5, the less
        trainer.discriminator.token_biases[[1, 5]] = torch.tensor([[9.0], [-9.0]])
    metrics = {name.removeprefix("discriminator/"): float(x) for name, x in trainer.refresh().items()}
    assert metrics["auc_train"] > 0.95
    assert metrics["auc_held_out"] < 0.05
    assert metrics["accuracy_train"] > metrics["accuracy_held_out"]
    assert metrics["loss_train"] < metrics["loss_held_out"]


def test_dropout_is_on_in_training_and_off_in_measuring():
    trainer = make_trainer(discriminator=tiny_cnn(6))
    negatives = text(3)
    assert trainer.measure(negatives) == trainer.measure(negatives)
    losses = []
    for seed in range(2):
        torch.manual_seed(seed)
        trainer.start()
        trainer.negatives = negatives
        losses.append(float(trainer.step(0.0).metrics["discriminator/loss"]))  # on the very same batch
    assert losses[0] != losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 13, 24, 30])
def test_state_is_complete_in_the_middle_of_a_set(cut):
    whole, first = make_trainer(), make_trainer()
    results = [whole.step() for _ in range(40)]
    for _ in range(cut):
        first.step()
    second = make_trainer()
    second.discriminator.load_state_dict(first.discriminator.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.rng.set_state(first.rng.get_state())  # saved by the run
    again = [second.step() for _ in range(40 - cut)]
    assert [float(r.metrics["discriminator/loss"]) for r in again] == [
        float(r.metrics["discriminator/loss"]) for r in results[cut:]
    ]


def test_a_smaller_rate_makes_a_smaller_step():
    for rate in (1.0, 0.25):
        trainer = make_trainer(learning_rate=0.02)
        before = trainer.discriminator.token_biases.detach().clone()
        trainer.step(rate)
        moved = (trainer.discriminator.token_biases.detach() - before).abs().max()
        assert float(moved) == pytest.approx(0.02 * rate, rel=0.01)  # Adam's first step


def test_the_penalty_is_part_of_what_is_minimised():
    trainer = make_trainer()
    report = trainer.step(0.0)
    unseen = trainer.discriminator.current_vectors  # of token 0, which stands in no text: only the penalty
    torch.testing.assert_close(unseen.grad[0, 0], 1e-3 * unseen[0, 0].detach())
    assert float(report.metrics["discriminator/gradient_norm"]) < trainer.settings.gradient_clip


def test_every_parameter_moves():
    trainer = make_trainer()
    before = {name: p.detach().clone() for name, p in trainer.discriminator.named_parameters()}
    for _ in range(10):
        trainer.step()
    assert not [n for n, p in trainer.discriminator.named_parameters() if torch.equal(p, before[n])]
