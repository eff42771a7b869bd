"""Runs apart from their measurements: the command that makes them again, their rows, their words."""

import shlex

import pytest

from leakgan.catalogue import CATALOGUE
from seqgan.cli import parse
from seqgan.experiment.catalogue import SEQGAN
from seqgan.studies.records import describe_estimator, record_of
from tests.haiku.catalogue import CATALOGUE as HAIKU
from tests.tiny_run import tiny_experiment

ODD = {"seed": 3, "generator": {"kind": "transformer"}, "estimator": {"kind": "candidates"}}


@pytest.mark.slow
@pytest.mark.parametrize(("catalogue", "layer"), [(SEQGAN, {}), (SEQGAN, ODD), (CATALOGUE, {}), (HAIKU, {})])
def test_the_command_makes_a_run_of_the_same_settings(tmp_path, catalogue, layer):
    made = tiny_experiment(tmp_path / "a run", layer, catalogue=catalogue)
    package, name, *flags = shlex.split(record_of("x", made.run).command)
    assert (package, name) == (catalogue.name, "train")
    parsed = parse(name, flags, catalogue)
    assert parsed.settings == made.settings
    assert parsed.run == tmp_path / "a run-again"


def test_a_run_that_logged_nothing_has_no_history_and_a_damaged_one_is_named(tmp_path):
    run = tiny_experiment(tmp_path / "run").run
    assert record_of("x", run).history.rows == []
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "pha')
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 1 is damaged"):
        record_of("x", run)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "rollouts", "num_rollouts": 16}, "Monte-Carlo rollouts, 16 for each prefix"),
        ({"kind": "leakgan-rollouts", "num_rollouts": 4}, "Monte-Carlo rollouts, 4 for each prefix"),
        (
            {"kind": "candidates", "num_candidates": 32},
            "32 candidates at each step, unfinished prefixes judged as if they were whole "
            "(not SeqGAN's estimator)",
        ),
        ({"kind": "mine.py:Mine"}, "mine.py:Mine"),
    ],
)
def test_the_estimator_is_said_in_words(settings, words):
    assert describe_estimator({"estimator": settings}) == words
