"""A second package beside the first: its kinds, presets, runs and command line."""

import dataclasses
import json
import shutil

import pytest
import torch

from seqgan.cli import COMMANDS, main
from seqgan.config.toml import read_toml
from seqgan.evaluation.likelihood import nll
from seqgan.experiment.catalogue import SEQGAN, Catalogue, find_catalogue
from seqgan.experiment.experiment import Experiment, open_run
from tests.haiku.catalogue import CATALOGUE as HAIKU
from tests.runs import assert_same, final_state, finish
from tests.tiny_run import flags, tiny_experiment, tiny_settings

TINY = ["--preset", "tiny", *flags()]


@pytest.fixture(scope="module", name="run")
def finished_run(tmp_path_factory):
    """A whole run of the second package, and the experiment that made it."""
    run = tmp_path_factory.mktemp("haiku") / "run"
    return run, finish(tiny_experiment(run, catalogue=HAIKU))


@pytest.fixture(scope="module", name="seqgan_run")
def prepared_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("seqgan") / "run"
    tiny_experiment(run)
    return run


@pytest.fixture(name="says")
def command_line(capfd, tmp_path, monkeypatch):
    """Runs a command of a package in an empty folder; gives its status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["seqgan"])

    def run(package, *arguments):
        capfd.readouterr()
        status = main([str(argument) for argument in arguments], package=package)
        return status, *capfd.readouterr()

    return run


# Settings.


def test_presets_build_on_their_own_and_on_those_of_the_base():
    assert HAIKU.preset_names() == ["quiet", "tiny"]
    tiny, quiet, base = HAIKU.load_preset("tiny"), HAIKU.load_preset("quiet"), SEQGAN.load_preset("tiny")
    assert (tiny.generator.loudness, quiet.generator.loudness) == (5.0, 0.5)
    assert dataclasses.replace(quiet.generator, loudness=5.0) == tiny.generator
    assert (tiny.generator.kind, tiny.generator.hidden_size) == ("listener", 16)
    assert tiny.mle == base.mle and tiny.corpus == base.corpus
    assert HAIKU.load().generator.kind == "listener"
    assert SEQGAN.load().generator.kind == "lstm"


def test_what_a_preset_is_for_is_the_comment_that_it_begins_with():
    assert HAIKU.preset_meanings() == {"quiet": "", "tiny": "Listens to the discriminator."}
    assert all(SEQGAN.preset_meanings().values())


def test_what_a_preset_builds_on_must_be_there(tmp_path):
    (tmp_path / "lost.toml").write_text('extends = "other:tiny"')
    (tmp_path / "gone.toml").write_text('extends = "seqgan:nothing"')
    catalogue = Catalogue(name="x", kinds=SEQGAN.kinds, presets=tmp_path, base=SEQGAN)
    with pytest.raises(ValueError, match="preset lost: extends other:tiny, and 'other' is not its base"):
        catalogue.load_preset("lost")
    with pytest.raises(ValueError, match="no 'nothing'; choose coco"):
        catalogue.load_preset("gone")
    with pytest.raises(ValueError, match="--preset: no 'seqgan:tiny'; choose gone, lost"):
        catalogue.load_preset("seqgan:tiny")


def test_kinds_of_one_package_are_not_those_of_another():
    with pytest.raises(ValueError, match="--generator.kind: no 'lstm'; choose listener, package.module"):
        HAIKU.load({"generator": {"kind": "lstm"}})
    with pytest.raises(ValueError, match="--generator.kind: no 'listener'; choose lstm, transformer"):
        SEQGAN.load({"generator": {"kind": "listener"}})


# Generators.


@pytest.mark.slow
def test_a_generator_is_kept_with_what_it_depends_on(run):
    path, experiment = run
    text = experiment.materials.validation
    loaded = open_run(path).load_generator("adversarial-last")
    with torch.no_grad():
        expected = experiment.policy.eval()(text)
        assert torch.equal(loaded.eval()(text), expected)
        deaf = open_run(path).policy
        deaf.load_state_dict(loaded.state_dict())  # with a fresh discriminator
        assert not torch.equal(deaf.eval()(text), expected)


def test_an_earlier_generator_hears_the_discriminator_of_its_time(run):
    """The adversarial phase went on training the discriminator; the best MLE model is what it was."""
    path, experiment = run
    mle = experiment.loop.phases[0]
    loaded = open_run(path).load_generator("mle-best")
    assert nll(loaded, experiment.materials.validation).value == mle.best_loss
    assert mle.best.keys() == {"generator", "discriminator"}


def test_loading_a_generator_leaves_the_one_in_training_alone(run):
    path, _ = run
    experiment = open_run(path)
    policy, discriminator = experiment.policy.state_dict(), experiment.discriminator.state_dict()
    before = {name: value.clone() for name, value in {**policy, **discriminator}.items()}
    experiment.load_generator("adversarial-last")
    assert all(torch.equal(value, before[name]) for name, value in {**policy, **discriminator}.items())


@pytest.mark.slow
def test_pre_training_is_all_but_the_last_phase(run, tmp_path):
    experiment = tiny_experiment(tmp_path / "run", catalogue=HAIKU)
    experiment.pretrain()
    assert [phase.done for phase in experiment.loop.phases] == [True, True, False]
    names = {path.stem for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"state", "pretrained", "mle-best", "mle-last"}
    experiment.loop.tracker.close()
    finish(open_run(tmp_path / "run"))
    assert_same(final_state(tmp_path / "run"), final_state(run[0]))


# Runs.


def test_a_run_is_opened_with_the_catalogue_of_the_package_that_made_it(run, seqgan_run):
    assert read_toml(run[0] / "config.toml")["package"] == "tests.haiku"
    assert read_toml(seqgan_run / "config.toml")["package"] == "seqgan"
    assert open_run(run[0]).catalogue is HAIKU
    assert open_run(seqgan_run, device="cpu").catalogue is SEQGAN
    assert open_run(run[0]).settings == run[1].settings
    assert find_catalogue("tests.haiku") is HAIKU


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such", "package 'no_such': cannot import no_such.catalogue:CATALOGUE: ModuleNotFoundError"),
        ("json", "package 'json': cannot import json.catalogue:CATALOGUE"),
        ("", "package '': cannot import .catalogue:CATALOGUE"),
        ("tests.haiku.", "package 'tests.haiku.': cannot import"),
        ("impostor", "package 'impostor': impostor.catalogue:CATALOGUE is no Catalogue of that name"),
        ("empty", "package 'empty': cannot import empty.catalogue:CATALOGUE: AttributeError"),
    ],
)
def test_a_package_that_cannot_be_found_is_named(seqgan_run, tmp_path, monkeypatch, name, message):
    (tmp_path / "impostor").mkdir()
    (tmp_path / "impostor" / "catalogue.py").write_text("from tests.haiku.catalogue import CATALOGUE")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "catalogue.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    run = shutil.copytree(seqgan_run, tmp_path / "copy")
    config = run / "config.toml"
    config.write_text(config.read_text().replace('package = "seqgan"', f'package = "{name}"'))
    with pytest.raises(ValueError) as caught:
        open_run(run)
    assert str(caught.value).startswith(f"{config}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["", "package = 3"])
def test_a_run_that_names_no_package_is_damaged(seqgan_run, tmp_path, line):
    run = shutil.copytree(seqgan_run, tmp_path / "copy")
    config = run / "config.toml"
    config.write_text(config.read_text().replace('package = "seqgan"', line))
    with pytest.raises(ValueError, match="config.toml: is damaged: it names no package"):
        open_run(run)


# Command line.


@pytest.mark.slow
def test_a_run_is_sampled_and_measured_by_either_command_line(run, says):
    outputs = []
    for package in ("seqgan", "tests.haiku"):
        status, sentences, errors = says(package, "generate", "--run", run[0])
        assert (status, errors, len(sentences.splitlines())) == (0, "", 10)
        status, scores, errors = says(package, "evaluate", "--run", run[0], "--json")
        assert (status, errors) == (0, "")
        assert set(json.loads(scores)) == {"mle-best", "mle-last", "adversarial-best", "adversarial-last"}
        outputs.append((sentences, scores))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("command", ["prepare", "pretrain", "train"])
def test_a_run_goes_on_with_its_own_package_only(run, seqgan_run, says, command):
    for path, other, own in ((run[0], "seqgan", "tests.haiku"), (seqgan_run, "tests.haiku", "seqgan")):
        before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
        status, output, errors = says(other, command, "--run", path)
        assert (status, output) == (2, "")
        assert errors == (
            f"{other}: error: --run: {path} is a run of {own}, not of {other}; "
            f"go on with: {own} train --run {path}\n"
        )
        assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before
    with pytest.raises(ValueError, match="is a run of tests.haiku, not of seqgan"):
        Experiment(tiny_settings(), run[0])


@pytest.mark.slow
def test_the_command_line_speaks_for_its_package(says, tmp_path):
    status, output, errors = says("tests.haiku", "pretrain", *TINY, "--generator.loudness", "2")
    run = "runs/tests.haiku-tiny"
    assert (status, errors) == (0, "")
    assert output.endswith(f"{run}: pre-training is done; go on with: tests.haiku train --run {run}\n")
    assert read_toml(tmp_path / run / "config.toml")["generator"]["loudness"] == 2.0
    assert says("tests.haiku", "config", "--list")[1] == "quiet\ntiny   Listens to the discriminator.\n"
    assert says("tests.haiku", "--help")[1].startswith("usage: tests.haiku COMMAND")
    assert says("tests.haiku", "--version")[1].startswith("tests.haiku ")
    help_text = says("tests.haiku", "train", "--preset", "tiny", "--help-all")[1]
    assert "listener" in help_text and "--generator.loudness" in help_text
    assert "--generator.loudness" not in says("seqgan", "train", "--help-all")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "--preset", "docstrings"], "--preset: no 'docstrings'; choose quiet, tiny"),
        (["prepare", "--generator.loudness", "-1"], "--generator.loudness: -1.0 is out of range"),
        (["prepare", "--generator.loudnes", "1"], "did you mean --generator.loudness?"),
        (["prepare", "--generator.num-heads", "1"], "no flag --generator.num-heads"),
        (["prepare", "--zzz"], "(see tests.haiku prepare --help)"),
    ],
)
def test_errors_speak_for_their_package(says, arguments, message):
    status, output, errors = says("tests.haiku", *arguments)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("tests.haiku: error: ") and message in errors


def test_runs_of_the_first_package_lie_where_they_always_did():
    assert str(SEQGAN.default_run("tiny")) == "runs/tiny"
    assert {"prepare", "pretrain", "train", "generate", "evaluate", "sweep", "report"} <= COMMANDS.keys()
