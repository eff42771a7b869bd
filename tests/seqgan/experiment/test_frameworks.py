"""A second framework beside the first: its kinds, presets, settings, phases, runs and command line."""

import json
import shutil

import pytest
import torch

from seqgan.cli import COMMANDS, main
from seqgan.config.schema import read_toml
from seqgan.evaluation.likelihood import nll
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.frameworks import find_experiment, open_run
from seqgan.experiment.settings import SEQGAN, Framework
from tests.haiku.experiment import HAIKU, HaikuExperiment, HaikuSettings
from tests.seqgan.training.test_loop import assert_same, final_state
from tests.tiny_run import SETTINGS, flags, tiny_config, tiny_experiment

TINY = ["--preset", "tiny", *flags()]


def haiku_experiment(run=None):
    return HaikuExperiment(HAIKU.load_preset("tiny", SETTINGS), run)


@pytest.fixture(scope="module", name="run")
def finished_run(tmp_path_factory):
    """A whole run of the second framework, and the experiment that made it."""
    run = tmp_path_factory.mktemp("haiku") / "run"
    experiment = haiku_experiment(run)
    experiment.train()
    experiment.loop.tracker.close()
    return run, experiment


@pytest.fixture(scope="module", name="seqgan_run")
def prepared_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("seqgan") / "run"
    tiny_experiment(run)
    return run


@pytest.fixture(name="says")
def command_line(capfd, tmp_path, monkeypatch):
    """Runs a command of a framework in an empty folder; gives its status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(experiment, *arguments):
        capfd.readouterr()
        status = main([str(argument) for argument in arguments], experiment=experiment)
        return status, *capfd.readouterr()

    return run


# Settings.


def test_presets_build_on_their_own_and_on_those_of_the_base():
    assert HAIKU.preset_names() == ["quiet", "tiny"]
    tiny, quiet, base = HAIKU.load_preset("tiny"), HAIKU.load_preset("quiet"), SEQGAN.load_preset("tiny")
    assert isinstance(tiny, HaikuSettings) and not isinstance(base, HaikuSettings)
    assert (tiny.ear.loudness, quiet.ear.loudness) == (5.0, 0.5)
    assert quiet.generator == tiny.generator
    assert (tiny.generator.kind, tiny.generator.hidden_size) == ("listener", 16)
    assert tiny.mle == base.mle and tiny.corpus == base.corpus
    assert HAIKU.load_config().generator.kind == "listener"


def test_what_a_preset_builds_on_must_be_there(tmp_path):
    (tmp_path / "lost.toml").write_text('extends = "other:tiny"')
    (tmp_path / "gone.toml").write_text('extends = "seqgan:nothing"')
    framework = Framework(name="x", tables=SEQGAN.tables, presets=tmp_path, base=SEQGAN)
    with pytest.raises(ValueError, match="preset lost: extends other:tiny, and 'other' is not its base"):
        framework.load_preset("lost")
    with pytest.raises(ValueError, match="no 'nothing'; choose coco"):
        framework.load_preset("gone")
    with pytest.raises(ValueError, match="--preset: no 'seqgan:tiny'; choose gone, lost"):
        framework.load_preset("seqgan:tiny")


def test_kinds_of_one_framework_are_not_those_of_another():
    with pytest.raises(ValueError, match="--generator.kind: no 'lstm'; choose listener or package.module"):
        HAIKU.load_config({"generator": {"kind": "lstm"}})
    with pytest.raises(ValueError, match="--generator.kind: no 'listener'; choose lstm, transformer"):
        SEQGAN.load_config({"generator": {"kind": "listener"}})


# Generators.


def test_a_generator_is_kept_with_what_it_depends_on(run):
    path, experiment = run
    text = experiment.split("validation")
    loaded = open_run(path).load_generator("adversarial-last")
    with torch.no_grad():
        expected = experiment.policy(text)
        assert torch.equal(loaded(text.tokens), expected)
        deaf = open_run(path)
        deaf.policy.load_state_dict(loaded.state_dict())  # with a fresh discriminator
        assert not torch.equal(deaf.policy(text), expected)


def test_an_earlier_generator_hears_the_discriminator_of_its_time(run):
    """The adversarial phase went on training the discriminator; the best MLE model is what it was."""
    path, experiment = run
    text = experiment.split("validation")
    mle = next(phase for phase in experiment.loop.phases if phase.name == "mle")
    loaded = open_run(path).load_generator("mle-best")
    assert nll(loaded, text).value == mle.best_nll
    assert mle.best.keys() == experiment.kept.state_dict().keys()


def test_loading_a_generator_leaves_the_one_in_training_alone(run):
    path, _ = run
    experiment = open_run(path)
    policy, discriminator = experiment.policy.state_dict(), experiment.discriminator.state_dict()
    before = {name: value.clone() for name, value in {**policy, **discriminator}.items()}
    experiment.load_generator("adversarial-last")
    assert all(torch.equal(value, before[name]) for name, value in {**policy, **discriminator}.items())


def test_pre_training_is_all_but_the_last_phase(run, tmp_path):
    experiment = haiku_experiment(tmp_path / "run")
    assert [phase.name for phase in experiment.loop.phases] == ["discriminator", "mle", "adversarial"]
    experiment.pretrain()
    assert [phase.done for phase in experiment.loop.phases] == [True, True, False]
    names = {path.stem for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"state", "pretrained", "mle-best", "mle-last"}
    experiment.loop.tracker.close()
    again = open_run(tmp_path / "run")
    again.train()
    again.loop.tracker.close()
    assert_same(final_state(tmp_path / "run"), final_state(run[0]))


# Runs.


def test_a_run_is_opened_by_the_framework_that_made_it(run, seqgan_run):
    assert read_toml(run[0] / "config.toml")["framework"] == "tests.haiku"
    assert read_toml(seqgan_run / "config.toml")["framework"] == "seqgan"
    assert type(open_run(run[0])) is HaikuExperiment
    assert type(open_run(seqgan_run, device="cpu")) is Experiment
    assert open_run(run[0]).settings == run[1].settings
    assert find_experiment("seqgan") is Experiment
    assert find_experiment("tests.haiku") is HaikuExperiment


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such", "framework 'no_such': cannot import no_such.experiment: ModuleNotFoundError"),
        ("json", "framework 'json': cannot import json.experiment"),
        ("", "framework '': cannot import .experiment: "),
        ("tests.haiku.", "framework 'tests.haiku.': cannot import"),
        (
            "impostor",
            "framework 'impostor': impostor.experiment:EXPERIMENT is no Experiment of that framework",
        ),
        ("empty", "framework 'empty': empty.experiment:EXPERIMENT is no Experiment of that framework"),
    ],
)
def test_a_framework_that_cannot_be_found_is_named(seqgan_run, tmp_path, monkeypatch, name, message):
    (tmp_path / "impostor").mkdir()
    (tmp_path / "impostor" / "experiment.py").write_text("from tests.haiku.experiment import EXPERIMENT")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "experiment.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    run = shutil.copytree(seqgan_run, tmp_path / "copy")
    config = run / "config.toml"
    config.write_text(config.read_text().replace('framework = "seqgan"', f'framework = "{name}"'))
    with pytest.raises(ValueError) as caught:
        open_run(run)
    assert str(caught.value).startswith(f"{config}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["", "framework = 3"])
def test_a_run_that_names_no_framework_is_damaged(seqgan_run, tmp_path, line):
    run = shutil.copytree(seqgan_run, tmp_path / "copy")
    config = run / "config.toml"
    config.write_text(config.read_text().replace('framework = "seqgan"', line))
    with pytest.raises(ValueError, match="config.toml: is damaged: it names no framework"):
        open_run(run)


# Command line.


def test_a_run_is_sampled_and_measured_by_either_command_line(run, says):
    outputs = []
    for experiment in (Experiment, HaikuExperiment):
        status, sentences, errors = says(experiment, "generate", "--run", run[0])
        assert (status, errors, len(sentences.splitlines())) == (0, "", 10)
        status, scores, errors = says(experiment, "evaluate", "--run", run[0], "--json")
        assert (status, errors) == (0, "")
        assert set(json.loads(scores)) == {"mle-best", "mle-last", "adversarial-best", "adversarial-last"}
        outputs.append((sentences, scores))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("arguments", [[], ["--preset", "tiny"]])
@pytest.mark.parametrize("command", ["prepare", "pretrain", "train"])
def test_a_run_goes_on_with_its_own_framework_only(run, seqgan_run, says, command, arguments):
    for path, experiment, own in (
        (run[0], Experiment, "tests.haiku"),
        (seqgan_run, HaikuExperiment, "seqgan"),
    ):
        other = experiment.framework.name
        before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
        paths = ["--corpus.path", SETTINGS["corpus"]["path"]] if arguments else []
        status, output, errors = says(experiment, command, "--run", path, *arguments, *paths)
        assert (status, output) == (2, "")
        assert errors == (
            f"{other}: error: --run: {path} is a run of {own}, not of {other}; "
            f"go on with: {own} train --run {path}\n"
        )
        assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    with pytest.raises(ValueError, match="is a run of tests.haiku, not of seqgan"):
        Experiment.open(run[0])


def test_the_command_line_speaks_for_its_framework(says, tmp_path):
    status, output, errors = says(HaikuExperiment, "pretrain", *TINY, "--ear.loudness", "2")
    run = "runs/tests.haiku-tiny"
    assert (status, errors) == (0, "")
    assert output == f"{run}: pre-training is done; go on with: tests.haiku train --run {run}\n"
    assert read_toml(tmp_path / run / "config.toml")["ear"] == {"loudness": 2.0}
    status, output, errors = says(
        HaikuExperiment, "train", "--preset", "tiny", *flags(), "--ear.loudness", "2"
    )
    assert (status, errors) == (0, "")
    assert "| MLE | adversarial |" in " ".join(output.split())
    assert says(HaikuExperiment, "config", "--list")[1] == "quiet\ntiny\n"
    assert says(HaikuExperiment, "--help")[1].startswith("usage: tests.haiku COMMAND")
    assert "Presets: quiet, tiny." in says(HaikuExperiment, "--help")[1]
    assert says(HaikuExperiment, "--version")[1].startswith("tests.haiku ")
    help_text = says(HaikuExperiment, "train", "--preset", "tiny", "--help")[1]
    assert "--generator.kind listener" in help_text and "--ear.loudness" in help_text
    assert "runs/tests.haiku-tiny" in "".join(help_text.split())
    assert "--ear.loudness" not in says(Experiment, "train", "--help")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "--preset", "docstrings"], "--preset: no 'docstrings'; choose quiet, tiny"),
        (["prepare", "--preset", "tiny", "--ear.loudness", "-1"], "--ear.loudness: -1.0 is out of range"),
        (["prepare", "--preset", "tiny", "--ear.loudnes", "1"], "did you mean --ear.loudness?"),
        (["prepare", "--preset", "tiny", "--generator.num-heads", "1"], "no flag --generator.num-heads"),
        (["prepare", "--preset", "tiny", "--zzz"], "(see tests.haiku prepare --help)"),
    ],
)
def test_errors_speak_for_their_framework(says, arguments, message):
    status, output, errors = says(HaikuExperiment, *arguments)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("tests.haiku: error: ") and message in errors


def test_runs_of_the_first_framework_lie_where_they_always_did():
    assert str(SEQGAN.default_run("tiny")) == "runs/tiny"
    assert set(COMMANDS) == {
        *("prepare", "pretrain", "train", "generate", "evaluate", "sweep", "report", "config")
    }
    assert tiny_config().generator.kind == "lstm"
