"""The shell scripts, in a copy of the tree where Python is a stand-in that writes down its arguments."""

import json
import os
import shutil
import subprocess
import sys

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
        echo "PATH='$PWD/$3/bin':\$PATH" > "$3/bin/activate"
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
    for name in ("python3", "tensorboard"):
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


@pytest.mark.parametrize("step", STEPS)
def test_a_step_calls_its_command_with_every_flag_as_it_is(tree, step):
    result, calls = run(tree, f"{step}.sh", *FLAGS)
    assert result.returncode == 0
    assert calls[-1] == ["python", "-m", "seqgan", step, *FLAGS]
    assert step in COMMANDS
    assert run(tree, f"{step}.sh", "--help")[1] == [["python", "-m", "seqgan", step, "--help"]]
    assert run(tree, f"{step}.sh", STATUS="130")[0].returncode == 130


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
        assert call == ["python", "scripts/benchmark.py", package, "--device", "cuda"]


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
    assert calls[2][-4:] == ["--constraint", "constraints.txt", "--editable", "."]
    assert result.stderr == "Installing into .venv (once) ...\n"
    result, calls = run(tree, "train.sh", "--quiet")
    assert [call[1:3] for call in calls] == [["-m", "seqgan"]]
    assert result.stderr == ""
    with (tree / "constraints.txt").open("a") as file:
        file.write("extra==1.0\n")
    calls = run(tree, "generate.sh")[1]
    assert [call[1:3] for call in calls] == [["-m", "pip"], ["-m", "seqgan"]]


def test_the_check_installs_the_test_extra(tree):
    calls = run(tree, "test.sh")[1]
    assert calls[2][-2:] == ["--editable", ".[test]"]


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


def test_the_comparison_trains_once_and_runs_the_controls_from_there(tree):
    result, calls = run(tree, "reproduce.sh", "oracle", "a file.npz")
    assert result.returncode == 0, result.stderr
    *trained, table = [call[1:] for call in calls if call[1:2] == ["-m"] or call[1] == "scripts/table.py"][2:]
    assert [call[1] for call in trained] == ["seqgan", "leakgan", "leakgan", "leakgan"]
    assert all(call[3:7] == ["--preset", "oracle", "--corpus.path", "a file.npz"] for call in trained)
    folders = [call[call.index("--run") + 1] for call in trained]
    assert table == ["scripts/table.py", *folders]
    assert len(set(folders)) == 4
    controls = [call[call.index("--pretrained") + 1 :] for call in trained[2:]]
    assert controls == [
        [folders[1], "--reward.kind", "constant"],
        [folders[1], "--reward.kind", "shuffled", "--reward.transform", "logit"],
    ]


@pytest.mark.parametrize("arguments", [[], ["tiny", "x"], ["coco"], ["coco", "folder", "--quiet"]])
def test_the_comparison_says_what_it_needs(tree, arguments):
    result, calls = run(tree, "reproduce.sh", *arguments)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("reproduce: ")
    assert not any("train" in call for call in calls)


def test_the_table_has_a_row_for_each_generator_once(tmp_path):
    def evaluation(run, name, **values):
        folder = tmp_path / run / "evaluation"
        folder.mkdir(parents=True, exist_ok=True)
        content = {"generator": name, "signature": "s:1", **values}
        (folder / f"{name}.json").write_text(json.dumps(content))

    for run_name in ("one", "two"):
        evaluation(run_name, "mle-best", nll_test=2.0, bleu_4=0.25, sentences=["a"])
        evaluation(run_name, "oracle", nll_test=1.0)
    evaluation("two", "adversarial-last", nll_test=1.5, bleu_4=0.5, sentences=["b"])
    command = [sys.executable, ROOT / "scripts" / "table.py", tmp_path / "one", tmp_path / "two"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.splitlines() == [
        "| generator | NLL-test | BLEU-4 |",
        "|---|---:|---:|",
        "| one, mle-best | 2.000 | 0.250 |",
        "| two, adversarial-last | 1.500 | 0.500 |",
        "",
        "`signature: s:1`",
    ]
