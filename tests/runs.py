"""Runs of seconds: finished, interrupted, compared."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqgan.experiment.experiment import Experiment
from seqgan.runtime import checkpoint
from seqgan.training.loop import Interrupted

PHASES = ("mle", "discriminator", "adversarial")


def finish(experiment: Experiment) -> Experiment:
    """Train to the end and close the event file."""
    experiment.train()
    experiment.loop.tracker.close()
    return experiment


def final_state(run: Path) -> tuple[dict[str, Any], str]:
    """Everything that a finished run leaves, apart from times."""
    state = checkpoint.load(run / "checkpoints" / "state.pt")
    generators = {p.name: checkpoint.load(p)["generator"] for p in (run / "checkpoints").glob("*-*.pt")}
    state.pop("tracked")  # lengths of files that hold times
    return flatten(state) | flatten(generators), (run / "metrics.jsonl").read_text()


def flatten(state: Any, path: str = "") -> dict[str, Any]:
    """Nested state as one dictionary."""
    if isinstance(state, list | tuple):
        state = dict(enumerate(state))
    if not isinstance(state, dict):
        return {path: state}
    return {k: v for key, value in state.items() for k, v in flatten(value, f"{path}/{key}").items()}


def assert_same(one: tuple[dict[str, Any], str], two: tuple[dict[str, Any], str]) -> None:
    """Compare final states bit for bit."""
    (state, rows), (other_state, other_rows) = one, two
    assert state.keys() == other_state.keys()
    for name, value in state.items():
        other = other_state[name]
        same = torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other
        assert same, name
    assert rows == other_rows


def assert_resumes(build: Callable[[str], Experiment], folder: Path) -> None:
    """Compare a run that is stopped in its last phase and resumed to one that is not."""
    whole = finish(build("whole"))
    interrupt_at(stopped := build("stopped"), whole.loop.step - 4)
    with pytest.raises(Interrupted):
        finish(stopped)
    finish(build("stopped"))
    assert_same(final_state(folder / "whole"), final_state(folder / "stopped"))


def interrupt_at(experiment: Experiment, step: int, number: int = signal.SIGTERM) -> None:
    """Send this process a signal when the given step is done."""
    loop = experiment.loop

    def send() -> None:
        if loop.step == step:
            os.kill(os.getpid(), number)

    loop.after_step = send
