"""The shell scripts, in a copy of the tree where Python is a stand-in that writes down its arguments."""

import os
import shutil
import subprocess

import pytest

from seqgan.cli import COMMANDS
from tests.tiny_run import ROOT

STEPS = ("prepare", "pretrain", "train", "generate", "evaluate", "sweep", "report")
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))
FLAGS = ["--prefix", "two words", "--mle.epochs=3", "", "$HOME", "*"]
STAND_IN = r"""#!/usr/bin/env bash
log=$(dirname "$0")/calls
printf '%s\n' "$(basename "$0")" "$@" ----- >> "$log"
case "$1 $2" in
    "-c "*) exit "${OLD_PYTHON:-0}" ;;
    "-m venv")
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        echo "PATH='$3/bin':\$PATH" > "$3/bin/activate"
        ;;
    "-m pip") exit "${PIP_STATUS:-0}" ;;
    "-m seqgan" | "-m leakgan") exit "${STATUS:-0}" ;;
esac
"""


@pytest.fixture(name="tree")
def copied_tree(tmp_path):
    tree = tmp_path / "a project"
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tree)
    (tmp_path / "bin").mkdir()
    for name in ("python3", "tensorboard", "ruff", "mypy", "lint-imports"):
        (tmp_path / "bin" / name).write_text(STAND_IN)
        (tmp_path / "bin" / name).chmod(0o755)
    return tree


def run(tree, script, *arguments, **environment):
    """Run a script from another folder; gives what happened and the calls it made, in their order."""
    for log in calls_of(tree):
        log.unlink()
    path = f"{tree.parent / 'bin'}:/usr/bin:/bin"
    result = subprocess.run(
        [str(tree / "scripts" / script), *arguments],
        cwd=tree.parent,
        env={"PATH": path, "HOME": str(tree)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    text = "".join(log.read_text() for log in calls_of(tree))
    return result, [call.split("\n") for call in text.split("\n-----\n") if call]


def calls_of(tree):
    return [log for log in (tree.parent / "bin" / "calls", tree / ".venv" / "bin" / "calls") if log.exists()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_sound_and_can_be_run(script):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    lines = script.read_text().splitlines()
    if script.name == "setup.sh":
        return
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")  # what it is for
    assert "set -euo pipefail" in lines
    assert os.access(script, os.X_OK)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_step_calls_its_command_with_every_flag_as_it_is(tree, step):
    result, calls = run(tree, f"{step}.sh", *FLAGS)
    assert result.returncode == 0
    assert calls[-1] == ["python", "-m", "seqgan", step, *FLAGS]
    assert step in COMMANDS
    assert run(tree, f"{step}.sh", "--help")[1] == [["python", "-m", "seqgan", step, "--help"]]
    assert run(tree, f"{step}.sh", STATUS="130")[0].returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_first_argument_may_name_the_package(tree, step):
    for package in ("leakgan", "seqgan"):
        assert run(tree, f"{step}.sh", package, *FLAGS)[1][-1] == ["python", "-m", package, step, *FLAGS]
    assert run(tree, f"{step}.sh", "other")[1] == [["python", "-m", "seqgan", step, "other"]]
    assert run(tree, f"{step}.sh", "--run", "leakgan")[1] == [
        ["python", "-m", "seqgan", step, "--run", "leakgan"]
    ]


def test_the_benchmark_is_told_the_package(tree):
    for arguments, package in (((), "seqgan"), (("leakgan",), "leakgan")):
        call = run(tree, "benchmark.sh", *arguments, "--device", "cuda")[1][-1]
        assert call == ["python", f"{tree}/scripts/benchmark.py", package, "--device", "cuda"]


def test_the_controls_are_told_the_package_and_the_tables_their_name(tree):
    for arguments, package in (((), "seqgan"), (("leakgan",), "leakgan")):
        call = run(tree, "controls.sh", *arguments, *FLAGS)[1][-1]
        assert call == ["python", "-m", "seqgan.studies.controls", package, *FLAGS]
    call = run(tree, "reproduce.sh", "leakgan-oracle", "a file.npz")[1][-1]
    assert call == ["python", "-m", "seqgan.studies.reproduce", "leakgan-oracle", "a file.npz"]


def test_the_benchmark_of_metrics_is_one_of_its_own(tree):
    call = run(tree, "benchmark.sh", "metrics", "--sizes", "1000")[1][-1]
    assert call == ["python", f"{tree}/scripts/benchmark_metrics.py", "--sizes", "1000"]


def test_no_script_holds_a_hyper_parameter():
    for step in STEPS:
        (line,) = (
            line
            for line in (ROOT / "scripts" / f"{step}.sh").read_text().splitlines()
            if "exec python" in line
        )
        assert line == f'exec python -m "$package" {step} "$@"'


def test_tensorboard_watches_all_runs_or_the_one_named(tree):
    assert ["tensorboard", "--logdir", "runs"] in run(tree, "tensorboard.sh")[1]
    (call,) = run(tree, "tensorboard.sh", "--logdir", "runs/one")[1]
    assert call == ["tensorboard", "--logdir", "runs", "--logdir", "runs/one"]


def test_the_environment_is_made_once_and_again_when_requirements_change(tree):
    result, calls = run(tree, "train.sh", "--quiet")
    assert [call[1:3] for call in calls] == [
        ["-c", calls[0][2]],
        ["-m", "venv"],
        ["-m", "pip"],
        ["-m", "seqgan"],
    ]
    assert calls[2][-4:] == ["--constraint", f"{tree}/constraints.txt", "--editable", f"{tree}[plots]"]
    assert result.stderr == "Installing into .venv (once) ...\n"
    result, calls = run(tree, "train.sh", "--quiet")
    assert [call[1:3] for call in calls] == [["-m", "seqgan"]]
    assert result.stderr == ""
    with (tree / "constraints.txt").open("a") as file:
        file.write("extra==1.0\n")
    calls = run(tree, "generate.sh")[1]
    assert [call[1:3] for call in calls] == [["-m", "pip"], ["-m", "seqgan"]]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_given_before_anything_is_installed(tree, flag):
    """It installed for minutes before it answered."""
    result, calls = run(tree, "train.sh", flag)
    assert (result.returncode, calls) == (0, [])
    assert result.stdout.startswith("Train a SeqGAN from beginning to end")
    assert not (tree / ".venv").exists()


def test_the_working_directory_stays_and_commands_know_how_they_are_called(tree):
    """Relative paths are those of whoever calls, also of scripts."""
    for line in (ROOT / "scripts" / "setup.sh").read_text().splitlines():
        assert not line.strip().startswith("cd ")
    assert "export SEQGAN_SCRIPTS" in (ROOT / "scripts" / "setup.sh").read_text()


def test_the_check_installs_the_test_extra(tree):
    install = next(call for call in run(tree, "test.sh")[1] if "pip" in call)
    assert install[-2:] == ["--editable", f"{tree}[plots,test]"]


def test_the_check_runs_every_test_once_or_what_is_asked_for(tree):
    """The fast set with the shapes of tensors checked, the slow one without."""
    calls = [call[call.index("loadfile") + 1 :] for call in run(tree, "test.sh")[1] if "pytest" in call]
    assert calls == [["-m", "not slow"], ["-m", "slow", "--unchecked"]]
    calls = [
        call[call.index("loadfile") + 1 :]
        for call in run(tree, "test.sh", "-k", "a b")[1]
        if "pytest" in call
    ]
    assert calls == [["-k", "a b"]]


def test_a_failed_installation_is_tried_again(tree):
    result, calls = run(tree, "train.sh", PIP_STATUS="1")
    assert result.returncode == 2
    assert calls[-1][1:3] == ["-m", "pip"]
    assert [call[1:3] for call in run(tree, "train.sh")[1]] == [["-m", "pip"], ["-m", "seqgan"]]


def test_an_environment_half_made_is_made_again(tree):
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "python").write_text("")
    assert ["-m", "venv"] in [call[1:3] for call in run(tree, "train.sh")[1]]


def test_a_python_that_is_too_old_is_named(tree):
    result, _ = run(tree, "train.sh", OLD_PYTHON="1")
    assert result.returncode == 2
    assert result.stderr == "scripts/setup.sh: python3 is no Python 3.11 or newer; set PYTHON to one\n"
    assert not (tree / ".venv").exists()
    result, _ = run(tree, "train.sh", PYTHON="no-such-python")
    assert "no-such-python is no Python 3.11 or newer" in result.stderr
