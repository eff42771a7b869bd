"""Resuming: an interrupted run ends bit for bit like one that was not."""

import signal
import warnings

import pytest
import torch

from seqgan.runtime import checkpoint
from seqgan.runtime.event_file import NAME
from seqgan.runtime.tracking import read_rows
from seqgan.training.alarms import TrainingDiverged
from seqgan.training.loop import Interrupted
from seqgan.training.schedule import Figure
from tests.runs import PHASES, assert_same, final_state, finish, interrupt_at
from tests.tiny_run import tiny_experiment

pytestmark = pytest.mark.slow

NUM_STEPS = 93  # of a whole run


def test_interrupted_at_every_few_steps_a_run_ends_the_same(finished_run, tmp_path):
    stopped_in = set()
    for step in range(1, NUM_STEPS, 7):
        experiment = tiny_experiment(tmp_path / "run")
        interrupt_at(experiment, step, signal.SIGINT if step % 2 else signal.SIGTERM)
        with pytest.raises(Interrupted) as interrupted:
            experiment.train()
        assert interrupted.value.number == (signal.SIGINT if step % 2 else signal.SIGTERM)
        assert experiment.loop.step == step
        stopped_in.add(PHASES[experiment.loop.phase_index])
        experiment.loop.tracker.close()
    assert stopped_in == set(PHASES)
    last = tiny_experiment(tmp_path / "run")
    last.train()
    last.loop.tracker.close()
    assert_same(final_state(finished_run), final_state(tmp_path / "run"))


def test_candidates_are_resumed_as_well(tmp_path):
    settings = {
        "estimator": {"kind": "candidates", "num_candidates": 4},
        "adversarial": {"cosine_decay": True},
    }
    whole, cut = (tiny_experiment(tmp_path / name, settings) for name in ("whole", "cut"))
    whole.train()
    interrupt_at(cut, whole.loop.step - 20)
    with pytest.raises(Interrupted):
        cut.train()
    assert PHASES[cut.loop.phase_index] == "adversarial"
    again = tiny_experiment(tmp_path / "cut", settings)
    again.train()
    for experiment in (whole, cut, again):
        experiment.loop.tracker.close()
    assert_same(final_state(tmp_path / "whole"), final_state(tmp_path / "cut"))


@pytest.mark.parametrize("phase", PHASES)
def test_killed_between_two_checkpoints_a_run_ends_the_same(finished_run, tmp_path, phase):
    """As after SIGKILL: what was done since the last checkpoint is lost and done again."""

    class Killed(BaseException):
        pass

    experiment = tiny_experiment(tmp_path / "run")
    loop = experiment.loop
    running = next(found for found in loop.phases if found.name == phase)

    def save_or_die():
        if loop.phases[loop.phase_index] is running and running.step == 4:
            loop.save()
        if loop.phases[loop.phase_index] is running and running.step == 11:
            raise Killed

    loop.after_step = save_or_die
    with pytest.raises(Killed):
        experiment.train()
    loop.tracker.close()
    again = tiny_experiment(tmp_path / "run")
    assert again.loop.step < loop.step
    again.train()
    again.loop.tracker.close()
    assert_same(final_state(finished_run), final_state(tmp_path / "run"))


def test_pretrain_then_train_is_train(finished_run, tmp_path):
    for act in ("pretrain", "train"):
        experiment = tiny_experiment(tmp_path / "run")
        getattr(experiment, act)()
        experiment.loop.tracker.close()
    assert_same(final_state(finished_run), final_state(tmp_path / "run"))


def test_a_finished_run_is_done_and_stays_as_it_is(own_run):
    before = final_state(own_run)
    experiment = tiny_experiment(own_run)
    assert experiment.loop.done()
    assert experiment.loop.step == NUM_STEPS
    experiment.train()
    experiment.loop.tracker.close()
    assert_same(before, final_state(own_run))


def test_what_a_run_keeps(finished_run):
    kept = {path.name for path in (finished_run / "checkpoints").iterdir()}
    assert kept == {
        "state.pt",
        "pretrained.pt",
        "mle-best.pt",
        "mle-last.pt",
        "adversarial-best.pt",
        "adversarial-last.pt",
    }
    rows = read_rows(finished_run / "metrics.jsonl")
    places = [(PHASES.index(row["phase"]), row["step"]) for row in rows]
    assert places == sorted(places)
    start = next(row for row in rows if row["phase"] == "adversarial")  # of the model that it starts from
    assert start["step"] == 0
    assert "evaluation/nll_validation" in start


def test_the_best_and_the_last_generator_of_a_phase_are_kept_apart_and_the_best_goes_on(tmp_path):
    experiment = tiny_experiment(tmp_path / "run")
    losses = iter([1.0, 2.0])
    experiment.loop.phases[0].assess = lambda: Figure(next(losses), {})
    experiment.loop.run(1)
    best, last = (experiment.load_generator(f"mle-{which}").head.bias for which in ("best", "last"))
    assert torch.equal(experiment.policy.head.bias, best)
    assert not torch.equal(last, best)


def test_pre_training_is_kept_before_the_checkpoint_that_says_it_is_over(tmp_path, monkeypatch):
    """Whoever is killed between the two does the end of pre-training again, and misses nothing."""
    saved, save = [], checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda path, payload: saved.append(path.name) or save(path, payload)
    )
    experiment = tiny_experiment(tmp_path / "run")
    experiment.pretrain()
    experiment.loop.tracker.close()
    assert [name for name in saved if name in ("pretrained.pt", "state.pt")][-2:] == [
        "pretrained.pt",
        "state.pt",
    ]


def test_the_adversarial_generator_is_the_one_that_was_trained(finished_run):
    generators = {
        n: checkpoint.load(finished_run / "checkpoints" / f"{n}.pt")["generator"]["generator"]
        for n in ("mle-best", "adversarial-last")
    }
    policy = checkpoint.load(finished_run / "checkpoints" / "state.pt")["components"]["policy"]
    for name, value in policy.items():
        assert torch.equal(generators["adversarial-last"][name], value)
    assert not torch.equal(generators["mle-best"]["head.bias"], policy["head.bias"])


def test_the_best_of_the_last_phase_may_be_what_it_starts_from(tmp_path):
    """Steps so large that nothing behind them is as likely to say the validation text."""
    harmful = {"algorithm": {"learning_rate": 0.3}, "adversarial": {"rounds": 1, "mle_steps": 0}}
    experiment = finish(tiny_experiment(tmp_path / "run", harmful))
    start, best, last = (
        experiment.load_generator(name).state_dict()
        for name in ("mle-best", "adversarial-best", "adversarial-last")
    )
    assert all(torch.equal(best[name], value) for name, value in start.items())
    assert not torch.equal(last["head.bias"], start["head.bias"])


def test_tensorboard_shows_the_settings_of_a_run(finished_run):
    content = (finished_run / "tensorboard" / NAME).read_bytes()
    assert b"_hparams_/session_start_info" in content and b"discriminator_training.refreshes" in content
    content = (finished_run / "tensorboard" / "adversarial" / NAME).read_bytes()
    assert b"reward/mean, probability" in content  # a logit's would be another chart


def test_steps_are_counted_from_the_first_of_their_phase(finished_run):
    """So curves of runs lie above each other however long their pre-training took."""
    rows = [row for row in read_rows(finished_run / "metrics.jsonl") if "alarm" not in row]
    for phase in tiny_experiment().loop.phases:
        steps = [row["step"] for row in rows if row["phase"] == phase.name]
        assert steps == sorted(steps) and steps[0] <= 3
        assert steps[-1] == phase.num_steps


def test_divergence_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    experiment = tiny_experiment(tmp_path / "run")
    loop = experiment.loop

    def save_then_break():
        if loop.step == 4:
            loop.save()
        if loop.step == 5:
            with torch.no_grad():
                experiment.policy.head.bias.fill_(float("nan"))

    loop.after_step = save_then_break
    with pytest.raises(TrainingDiverged, match="mle/loss is nan"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        experiment.train()
    loop.tracker.close()
    saved = checkpoint.load(tmp_path / "run" / "checkpoints" / "state.pt")
    assert saved["components"]["policy"]["head.bias"].isfinite().all()
    assert saved["components"]["mle"]["num_steps"] == 4


def test_not_finite_weights_are_never_saved(tmp_path):
    experiment = tiny_experiment(tmp_path / "run")
    experiment.loop.save()
    with torch.no_grad():
        experiment.policy.head.bias[0] = float("inf")
    with pytest.raises(TrainingDiverged, match="a weight is not finite"):
        experiment.loop.save()
    experiment.loop.tracker.close()


def test_a_checkpoint_of_other_models_is_refused(finished_run, tmp_path):
    other = tiny_experiment(tmp_path / "run", {"generator": {"hidden_size": 9}})
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "state.pt").write_bytes((finished_run / "checkpoints" / "state.pt").read_bytes())
    with pytest.raises(ValueError, match="state.pt: does not fit the run's settings"):
        other.train()
