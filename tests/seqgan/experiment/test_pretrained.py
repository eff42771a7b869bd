"""A new run that starts from another one's pre-training."""

import pytest

from leakgan.catalogue import CATALOGUE as LEAKGAN
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import Experiment
from tests.runs import assert_same, final_state, finish
from tests.tiny_run import tiny_experiment, tiny_settings

pytestmark = pytest.mark.slow


def pretrained(run, **options):
    experiment = tiny_experiment(run, **options)
    experiment.pretrain()
    experiment.loop.tracker.close()


@pytest.mark.parametrize("catalogue", [SEQGAN, LEAKGAN], ids=lambda catalogue: catalogue.name)
def test_the_same_settings_lead_to_the_same_end(catalogue, tmp_path):
    finish(tiny_experiment(tmp_path / "whole", catalogue=catalogue))
    settings = tiny_settings(catalogue=catalogue)
    again = Experiment(settings, tmp_path / "again", catalogue=catalogue, pretrained=tmp_path / "whole")
    assert again.loop.phase_index == len(again.loop.phases) - 1
    finish(again)
    assert_same(final_state(tmp_path / "whole"), final_state(tmp_path / "again"))


OTHER = {
    "estimator": {"kind": "candidates", "num_candidates": 3},
    "algorithm": {"learning_rate": 0.1},
    "reward": {"transform": "logit"},
}


def test_what_comes_after_pre_training_may_differ(tmp_path):
    pretrained(tmp_path / "first")
    finish(Experiment(tiny_settings(OTHER), tmp_path / "second", pretrained=tmp_path / "first"))
    finish(tiny_experiment(tmp_path / "third", OTHER))
    assert_same(final_state(tmp_path / "second"), final_state(tmp_path / "third"))


def test_the_same_may_still_change_in_a_run_that_has_not_come_so_far(tmp_path):
    """Nothing before the adversarial phase uses a reward."""
    pretrained(tmp_path / "first")
    finish(tiny_experiment(tmp_path / "first", OTHER))
    finish(tiny_experiment(tmp_path / "third", OTHER))
    assert_same(final_state(tmp_path / "first"), final_state(tmp_path / "third"))
    assert Experiment.open(tmp_path / "first").settings.algorithm.learning_rate == 0.1
    with pytest.raises(ValueError, match=r"--algorithm.learning-rate: 0.2 differs from 0.1"):
        tiny_experiment(tmp_path / "first", OTHER, {"algorithm": {"learning_rate": 0.2}})


def test_before_any_training_all_but_the_corpus_may_change(tmp_path):
    tiny_experiment(tmp_path / "run")
    tiny_experiment(tmp_path / "run", {"mle": {"epochs": 3}, "generator": {"hidden_size": 8}})
    assert Experiment.open(tmp_path / "run").settings.mle.epochs == 3
    with pytest.raises(ValueError, match=r"--corpus.max-length: 9 differs from 16"):
        tiny_experiment(tmp_path / "run", {"corpus": {"max_length": 9}})


def test_other_settings_before_it_are_refused_and_nothing_is_written(tmp_path):
    tiny_experiment(tmp_path / "first")
    with pytest.raises(ValueError, match="--pretrained: .*first has not finished its pre-training"):
        Experiment(tiny_settings(), tmp_path / "second", pretrained=tmp_path / "first")
    pretrained(tmp_path / "first")
    other = tiny_settings({"mle": {"epochs": 3}})
    with pytest.raises(ValueError, match=r"--mle.epochs: 3 differs from 2"):
        Experiment(other, tmp_path / "second", pretrained=tmp_path / "first")
    with pytest.raises(ValueError, match="is no run folder"):
        Experiment(tiny_settings(), tmp_path / "second", pretrained=tmp_path / "nothing")
    assert not (tmp_path / "second" / "config.toml").exists()


def test_a_run_on_another_text_is_refused(tmp_path):
    """Of equal vocabulary size and the same path: only the digest tells."""
    text = tmp_path / "text.txt"
    lines = [f"the {noun} sees the {other} .\n" for noun in "abcdefgh" for other in "abcdefgh"]
    corpus = {"corpus": {"kind": "file", "path": str(text), "min_count": 1}}
    text.write_text("".join(lines))
    first = tiny_experiment(tmp_path / "first", corpus)
    first.pretrain()
    first.loop.tracker.close()
    text.write_text("".join(reversed(lines)))
    with pytest.raises(ValueError, match="--pretrained: .*first was trained on another text"):
        Experiment(tiny_settings(corpus), tmp_path / "second", pretrained=tmp_path / "first")
    other = tiny_experiment(tmp_path / "other", corpus)
    assert other.corpus.digest != first.corpus.digest
    checkpoints = tmp_path / "other" / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "state.pt").write_bytes((tmp_path / "first" / "checkpoints" / "state.pt").read_bytes())
    with pytest.raises(ValueError, match="state.pt: made with another corpus"):
        other.train()
