"""Temperatures by number and by name: in samples, in scores, in signatures and in settings."""

import json
import re

import pytest

from seqgan.cli import main
from seqgan.evaluation.likelihood import nll
from seqgan.experiment.experiment import Experiment
from seqgan.sampling.decoding import TEMPERATURES, describe_temperature, temperature_value
from tests.tiny_run import flags, tiny_experiment

NAME = "leakgan-official"


@pytest.fixture(scope="module", name="run")
def pretrained_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("temperature")
    arguments = ["--preset", "tiny", *flags(), "--run", str(folder / "run"), "--data", str(folder / "data")]
    assert main(["pretrain", *arguments, "--quiet"]) == 0
    return folder / "run"


@pytest.fixture(name="cli")
def command_line(capfd):
    def run(*arguments):
        capfd.readouterr()
        assert main([str(argument) for argument in arguments]) == 0
        return capfd.readouterr().out

    return run


def test_logits_times_one_and_a_half():
    assert temperature_value(NAME) * 1.5 == pytest.approx(1, abs=1e-15)
    assert set(TEMPERATURES) == {NAME}
    assert temperature_value(0.7) == 0.7


def test_the_name_stands_in_the_description():
    assert describe_temperature(NAME) == "0.6667(leakgan-official)"
    assert describe_temperature(1.0) == "1"
    assert describe_temperature(0.75) == "0.75"


@pytest.mark.slow
def test_an_unknown_name_is_refused(run, capfd):
    with pytest.raises(
        ValueError, match="--temperature: no 'hot'; choose a number or one of leakgan-official"
    ):
        temperature_value("hot")
    for command in ("generate", "evaluate"):
        assert main([command, "--run", str(run), "--temperature", "hot"]) == 2
        errors = capfd.readouterr().err
        assert errors.count("\n") == 1 and "hot" in errors and NAME in errors


def test_generate_by_name_is_generate_by_number(cli, run):
    command = ("generate", "--run", run, "--num-sentences", "50")
    named = cli(*command, "--temperature", NAME)
    assert named == cli(*command, "--temperature", repr(1 / 1.5))
    assert named != cli(*command)
    experiment = tiny_experiment()
    assert experiment.sample(5, temperature=NAME) == experiment.sample(5, temperature=1 / 1.5)


def test_evaluate_by_name_is_evaluate_by_number_with_another_signature(cli, run):
    command = ("evaluate", "--run", run, "--checkpoint", "mle-best", "--json")
    named = json.loads(cli(*command, "--temperature", NAME))["mle-best"]
    number = json.loads(cli(*command, "--temperature", repr(1 / 1.5)))["mle-best"]
    kept = {f"mle-best,temperature=0.6667({NAME}).json", "mle-best,temperature=0.666667.json"}
    assert {path.name for path in (run / "evaluation").glob("*.json")} == kept
    assert f"|temperature:0.6667({NAME})|" in named.pop("signature")
    assert "|temperature:0.666667|" in number.pop("signature")
    assert named == number
    own = json.loads(cli(*command, "--temperature", "1"))["mle-best"]
    assert own["entropy"] != named["entropy"]
    assert (run / "evaluation" / "mle-best.json").exists()


@pytest.mark.slow
def test_the_settings_temperature_holds_during_training_and_after_it(cli, tmp_path):
    cool = tmp_path / "cool"
    arguments = ["--preset", "tiny", *flags(), "--run", str(cool), "--data", str(tmp_path)]
    output = cli("train", *arguments, "--evaluation.temperature", "0.5")
    assert "|temperature:0.5|" in output
    kept = json.loads((cool / "evaluation" / "mle-best.json").read_text())
    command = ("evaluate", "--run", cool, "--checkpoint", "mle-best", "--json")
    plain = json.loads(cli(*command))["mle-best"]
    about = {"generator": "mle-best", "decoding": {"temperature": 0.5, "top_k": None, "top_p": None}}
    assert {**kept, **plain, **about} == kept
    warm = json.loads(cli(*command, "--temperature", "1"))["mle-best"]
    assert "|temperature:1|" in warm["signature"]
    assert warm["entropy"] > plain["entropy"]
    assert json.loads((cool / "evaluation" / "mle-best.json").read_text()) == kept
    rows = [json.loads(row) for row in (cool / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if row["phase"] == "mle" and "evaluation/entropy" in row][-1]
    assert last["evaluation/entropy"] < warm["entropy"]
    experiment = Experiment.open(cool)
    generator, text = experiment.load_generator("mle-best"), experiment.materials.validation
    expected = nll(generator, text, temperature=0.5).value
    assert experiment.loop.phases[0].best_loss == pytest.approx(expected, abs=1e-12)


def test_a_temperature_of_zero_is_for_samples_only(capfd, run):
    assert main(["evaluate", "--run", str(run), "--temperature", "0"]) == 2
    assert "--temperature: 0.0 is out of range; it must be more than 0" in capfd.readouterr().err
    arguments = ["prepare", "--preset", "tiny", "--evaluation.temperature", "0"]
    assert main(arguments) == 2
    assert re.search("--evaluation.temperature: 0.0 is out of range", capfd.readouterr().err)
