"""Real processes, stopped by real signals in every phase: they end bit for bit like one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from seqgan.cli import main
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import RunFolder
from seqgan.runtime import checkpoint, files
from seqgan.training.loop import Interrupted
from tests.command_line import command, environment
from tests.runs import PHASES, assert_same, final_state, flatten
from tests.tiny_run import ROOT, SETTINGS, TINY, flags, tiny_experiment, tiny_settings

pytestmark = pytest.mark.slow

LONGER = {
    **SETTINGS,
    "mle": {"epochs": 15, "patience": 15},
    "discriminator_training": {"refreshes": 12, "epochs": 1, "patience": 12},
    "adversarial": {"rounds": 8, "policy_steps": 2, "mle_steps": 1, "evaluation_interval": 2},
    "evaluation": {"num_samples": 1000, "num_samples_in_training": 20},
    "tracking": {"log_interval": 1, "checkpoint_interval": 0.02},
}
TEXT = ROOT / "seqgan" / "text" / "tiny.txt"
TRAIN = ["train", "--preset", "tiny", *flags(LONGER)]
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL, signal.SIGHUP: 129}
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
PATIENCE = 300  # seconds for what takes three where nobody else is at work
SERVER = get_context("forkserver")  # processes that need not import torch again
SERVER.set_forkserver_preload(["tests.end_to_end.test_interruption", "torch._dynamo"])


def work(folder, arguments):
    """What a process does: the command, in a folder, with its output in files."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup
    os.chdir(folder)
    for number, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(main(arguments))


def start(folder):
    process = SERVER.Process(target=work, args=(folder, [*TRAIN, "--run", "run"]))
    process.start()
    return process


def wait_for(condition, is_alive):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def stop_when(folder, condition, number):
    """Start a run, and send the signal once the condition holds; gives what it said last."""
    process = start(folder)
    try:
        wait_for(condition, process.is_alive)
        os.kill(process.pid, number)
        process.join(PATIENCE)
    finally:
        process.kill()
    errors = (folder / "errors").read_text()
    assert process.exitcode == STATUS[number], errors
    assert all(line.startswith("seqgan: ") for line in errors.splitlines()), errors
    return errors.splitlines()[-1] if errors else ""


def rows_of(run, phase):
    path = run / "metrics.jsonl"
    return path.read_text().count(f'"phase": "{phase}"') if path.exists() else 0


def saved_phase(run):
    """The phase of the last checkpoint; None before the first."""
    path = run / "checkpoints" / "state.pt"
    return checkpoint.load(path)["phase_index"] if path.exists() else None


def stop_in_every_phase(folder, number):
    """One run, stopped in each of its phases and in the evaluation, and brought to its end."""
    run, name = folder / "run", signal.Signals(number).name
    for index, phase in enumerate(PHASES):
        said = stop_when(
            folder,
            lambda phase=phase, index=index: rows_of(run, phase) >= 5 and saved_phase(run) == index,
            number,
        )
        assert saved_phase(run) == index
        if number != signal.SIGKILL:
            assert said == f"seqgan: stopped by {name}; all is saved, run again to go on"
    said = stop_when(folder, (run / "evaluation" / "mle-best.json").exists, number)
    if number != signal.SIGKILL:
        assert said == f"seqgan: stopped by {name}; what was finished is kept"
    assert not (run / "evaluation" / "adversarial-last.json").exists()
    return finish(folder)


def finish(folder):
    process = start(folder)
    process.join(PATIENCE)
    assert process.exitcode == 0, (folder / "errors").read_text()
    output = (folder / "output").read_text()
    assert "run: all is done" in output
    evaluations = {
        path.name: json.loads(path.read_text()) for path in (folder / "run" / "evaluation").glob("*.json")
    }
    compared = output[
        output.index("\nMLE (mle-best)") : output.index("run: all is done")
    ]  # not the phases' times
    return final_state(folder / "run"), evaluations, compared


@pytest.fixture(scope="module", name="runs")
def all_runs(tmp_path_factory):
    """All of them at once."""
    with ThreadPoolExecutor() as pool:
        runs = {n: pool.submit(stop_in_every_phase, tmp_path_factory.mktemp("stopped"), n) for n in STOPPING}
        runs[None] = pool.submit(finish, tmp_path_factory.mktemp("whole"))
    return runs


@pytest.mark.parametrize("number", STOPPING)
def test_a_run_stopped_in_every_phase_ends_like_one_that_was_not(runs, number):
    (whole, evaluations, output), stopped = runs[None].result(), runs[number].result()
    assert_same(whole, stopped[0])
    assert stopped[1] == evaluations
    assert set(evaluations) == {"mle-best.json", "adversarial-last.json"}
    assert stopped[2] == output


def stop_command(arguments, folder, condition, number):
    """The same for any command, as a user starts it."""
    process = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(condition, lambda: process.poll() is None)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == STATUS[number]
    assert errors == f"seqgan: stopped by {signal.Signals(number).name}; what was finished is kept\n"


def test_stopped_while_preparing_nothing_is_left(tmp_path):
    os.mkfifo(tmp_path / "text")  # reading it waits
    arguments = [*TRAIN, "--run", "runs/new", "--corpus.kind", "file", "--corpus.path", "text"]
    lock = tmp_path / "runs" / "new" / ".lock"
    stop_command(arguments, tmp_path, lock.exists, signal.SIGTERM)
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_stopped_while_generating_no_half_file_is_left(runs, tmp_path):
    (tmp_path / "out.txt").write_text("before\n")
    run = next(tmp_path.parent.glob("whole*")) / "run"
    arguments = ["generate", "--run", run, "--num-sentences", 10**7, "--output", "out.txt"]
    stop_command(arguments, tmp_path, lambda: len(list(tmp_path.iterdir())) == 2, signal.SIGINT)
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "before\n"


def test_a_terminal_that_goes_away_saves_the_run(tmp_path):
    run = tmp_path / "run"
    said = stop_when(tmp_path, lambda: rows_of(run, "mle") >= 5 and saved_phase(run) == 0, signal.SIGHUP)
    assert said == "seqgan: stopped by SIGHUP; all is saved, run again to go on"


class Killed(BaseException):
    """In the place of SIGKILL, at a place in the code that no signal hits."""


def checkpoints(run):
    return flatten({path.name: checkpoint.load(path) for path in (run / "checkpoints").glob("*.pt")})


@pytest.fixture(scope="module", name="pretrained")
def pretrained_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("pretrained") / "run"
    experiment = tiny_experiment(run)
    experiment.pretrain()
    experiment.loop.tracker.close()
    return run


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["state.pt", "pretrained.pt"])
def test_killed_around_the_last_writes_of_pre_training_nothing_is_missing(
    pretrained, tmp_path, monkeypatch, name, when
):
    """state.pt once came first, and pretrained.pt then never."""
    save = checkpoint.save

    def save_or_die(path, payload):
        dies = path.name == name and payload["phase_index"] == 2
        if dies and when == "before":
            raise Killed
        save(path, payload)
        if dies:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_or_die)
        experiment = tiny_experiment(tmp_path / "run")
        with pytest.raises(Killed):
            experiment.pretrain()
        experiment.loop.tracker.close()
    again = tiny_experiment(tmp_path / "run")
    again.pretrain()
    again.loop.tracker.close()
    assert (tmp_path / "run" / "checkpoints" / "pretrained.pt").exists()
    assert_same((checkpoints(tmp_path / "run"), None), (checkpoints(pretrained), None))


@pytest.mark.parametrize("name", ["copy", "write_settings", "replace"])
def test_killed_while_taking_over_a_pre_training_nothing_foreign_is_left(
    pretrained, tmp_path, monkeypatch, name
):
    """A run that is then started without it trains from the beginning."""
    owner = {"copy": shutil, "write_settings": RunFolder, "replace": Path}[name]
    original, calls = getattr(owner, name), []

    def die_at_the_second(*arguments, **options):
        if name != "replace" or ".committed" in str(arguments[0]):
            calls.append(name)
        if len(calls) == (1 if name == "write_settings" else 2):
            os._exit(9)
        return original(*arguments, **options)

    run = RunFolder(tmp_path / "run")
    if (child := os.fork()) == 0:
        setattr(owner, name, die_at_the_second)
        with run.lock():
            Experiment(tiny_settings(), run.path, pretrained=pretrained)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not run.exists()
    with run.lock():
        is_adopted = run.exists()
        experiment = tiny_experiment(run.path)
        assert (
            (experiment.loop.step > 0) == is_adopted == (name == "replace")
        )  # replace comes after the commit
        assert run.state.exists() == is_adopted
        experiment.loop.tracker.close()


def test_a_pre_training_on_another_text_is_not_taken_over(pretrained, tmp_path):
    """The settings are the same; only the file that they name has changed."""
    (tmp_path / "text").write_text((TEXT).read_text().replace(" a ", " the "))
    text = {"corpus": {"kind": "file", "path": str(tmp_path / "text")}}
    first = tiny_experiment(tmp_path / "first", text)
    first.pretrain()
    first.loop.tracker.close()
    (tmp_path / "text").write_text((TEXT).read_text())
    with pytest.raises(ValueError, match=r"--pretrained: .*first was trained on another text"):
        Experiment(tiny_settings(text), tmp_path / "second", pretrained=tmp_path / "first")
    assert not RunFolder(tmp_path / "second").exists()


def test_a_checkpoint_of_another_text_is_not_gone_on_with(pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    state = checkpoint.load(tmp_path / "run" / "checkpoints" / "state.pt")
    checkpoint.save(tmp_path / "run" / "checkpoints" / "state.pt", {**state, "corpus": "another"})
    with pytest.raises(ValueError, match=r"state\.pt: made with another corpus"):
        tiny_experiment(tmp_path / "run").pretrain()


def test_a_hidden_folder_among_the_checkpoints_is_left_alone(pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / ".hidden").mkdir()
    with RunFolder(tmp_path / "run").lock():
        assert (tmp_path / "run" / "checkpoints" / ".hidden").is_dir()


def test_a_run_without_a_name_is_refused(cli, tmp_path):
    assert cli.fails("prepare", *TINY, "--run", "").startswith("seqgan: error: --run: names no folder")
    assert "a\\x7fb holds control characters" in cli.fails("prepare", *TINY, "--run", "a\x7fb")
    assert not any(path.name != "data" for path in tmp_path.iterdir())


def test_no_number_of_signals_cuts_a_save_short(tmp_path, monkeypatch):
    """Who presses Ctrl-C again while the checkpoint is being written keeps it all the same."""
    write = files.write_atomically

    def impatient(path, content):
        def interrupted(file):
            content(file)
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)

        write(path, interrupted if path.name == "state.pt" else content)

    monkeypatch.setattr(checkpoint, "write_atomically", impatient)
    experiment = tiny_experiment(tmp_path / "run", {"tracking": {"checkpoint_interval": 0.0}})
    with pytest.raises(Interrupted):
        experiment.pretrain()
    experiment.loop.tracker.close()
    again = tiny_experiment(tmp_path / "run")
    assert again.loop.step == experiment.loop.step > 0
    again.loop.tracker.close()
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "mle-best.pt",
        "mle-last.pt",
        "state.pt",
    ]
