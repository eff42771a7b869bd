"""A new run that starts from another one's pre-training."""

import pytest

from leakgan.experiment import LeakGANExperiment
from seqgan.experiment.experiment import Experiment
from tests.seqgan.training.test_loop import assert_same, final_state
from tests.tiny_run import tiny_config, tiny_experiment


def trained(experiment):
    experiment.train()
    experiment.loop.tracker.close()
    return final_state(experiment.run.path)


@pytest.mark.parametrize("kind", [Experiment, LeakGANExperiment])
def test_the_same_settings_lead_to_the_same_end(kind, tmp_path):
    whole = trained(tiny_experiment(tmp_path / "whole", experiment=kind))
    config = tiny_config(framework=kind.framework)
    again = kind(config, tmp_path / "again", pretrained=tmp_path / "whole")
    assert again.loop.phase_index == len(again.loop.phases) - 1
    assert_same(whole, trained(again))


def test_what_comes_after_pre_training_may_differ(tmp_path):
    first = tiny_experiment(tmp_path / "first")
    first.pretrain()
    first.loop.tracker.close()
    other = {
        "reward": {"kind": "constant"},
        "algorithm": {"lag": 0.0, "alternatives": 3, "learning_rate": 0.1},
    }
    second = Experiment(tiny_config(other), tmp_path / "second", pretrained=tmp_path / "first")
    fresh = tiny_experiment(tmp_path / "third", other)
    assert_same(trained(second), trained(fresh))


def test_other_settings_before_it_are_refused_and_nothing_is_written(tmp_path):
    first = tiny_experiment(tmp_path / "first")
    with pytest.raises(ValueError, match="--pretrained: .*first has not finished its pre-training"):
        Experiment(tiny_config(), tmp_path / "second", pretrained=tmp_path / "first")
    first.pretrain()
    first.loop.tracker.close()
    with pytest.raises(ValueError, match=r"--mle.epochs: 3 differs from 2"):
        Experiment(tiny_config({"mle": {"epochs": 3}}), tmp_path / "second", pretrained=tmp_path / "first")
    with pytest.raises(ValueError, match="is no run folder"):
        Experiment(tiny_config(), tmp_path / "second", pretrained=tmp_path / "nothing")
    assert not (tmp_path / "second").exists()
