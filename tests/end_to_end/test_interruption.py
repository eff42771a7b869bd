"""Real processes, stopped by real signals in every phase: they end bit for bit like one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from seqgan.cli import main
from seqgan.runtime import checkpoint
from tests.seqgan.training.test_loop import PHASES, assert_same, final_state
from tests.tiny_run import ROOT, SETTINGS, flags

LONGER = {
    **SETTINGS,
    "mle": {"epochs": 15, "patience": 15},
    "discriminator_training": {"refreshes": 12, "epochs": 1, "patience": 12},
    "adversarial": {"rounds": 8, "policy_steps": 2, "mle_steps": 1, "evaluation_interval": 2},
    "evaluation": {"num_samples": 1000, "num_samples_in_training": 20},
    "tracking": {"log_interval": 1, "checkpoint_interval": 0.02},
}
TRAIN = ["train", "--preset", "tiny", *flags(LONGER)]
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
SERVER = get_context("forkserver")  # processes that need not import torch again
SERVER.set_forkserver_preload(["tests.end_to_end.test_interruption", "torch._dynamo"])


def work(folder, arguments):
    """What a process does: the command, in a folder, with its output in files."""
    os.chdir(folder)
    for number, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(main(arguments))


def start(folder):
    process = SERVER.Process(target=work, args=(folder, [*TRAIN, "--run", "run"]))
    process.start()
    return process


def wait_for(condition, is_alive):
    deadline = time.monotonic() + 60
    while not condition():
        assert is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def stop_when(folder, condition, number):
    """Start a run, and send the signal once the condition holds; gives what it said last."""
    process = start(folder)
    wait_for(condition, process.is_alive)
    os.kill(process.pid, number)
    process.join(30)
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
    process.join(60)
    assert process.exitcode == 0, (folder / "errors").read_text()
    output = (folder / "output").read_text()
    assert "run: all is done" in output
    evaluations = {
        path.name: json.loads(path.read_text()) for path in (folder / "run" / "evaluation").glob("*.json")
    }
    return final_state(folder / "run"), evaluations, output[: output.index("run: all is done")]


@pytest.fixture(scope="module", name="runs")
def all_runs(tmp_path_factory):
    """All of them at once."""
    with ThreadPoolExecutor() as pool:
        runs = {n: pool.submit(stop_in_every_phase, tmp_path_factory.mktemp("stopped"), n) for n in STATUS}
        runs[None] = pool.submit(finish, tmp_path_factory.mktemp("whole"))
    return runs


@pytest.mark.parametrize("number", STATUS)
def test_a_run_stopped_in_every_phase_ends_like_one_that_was_not(runs, number):
    (whole, evaluations, output), stopped = runs[None].result(), runs[number].result()
    assert_same(whole, stopped[0])
    assert stopped[1] == evaluations
    assert set(evaluations) == {"mle-best.json", "adversarial-last.json"}
    assert stopped[2] == output


def stop_command(arguments, folder, condition, number):
    """The same for any command, as a user starts it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "seqgan", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(condition, lambda: process.poll() is None)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == STATUS[number]
    assert errors == f"seqgan: stopped by {signal.Signals(number).name}; what was finished is kept\n"


def test_stopped_while_preparing_nothing_is_left(tmp_path):
    os.mkfifo(tmp_path / "text")  # reading it waits
    arguments = [*TRAIN, "--run", "runs/new", "--corpus.path", "text"]
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
