"""The one loop: runs phases step by step, logs, warns, checkpoints, stops when asked and resumes exactly."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from seqgan.runtime import checkpoint
from seqgan.runtime.seeding import random_states, restore_random_states
from seqgan.runtime.tracking import Tracker, TrackingSettings, to_numbers
from seqgan.runtime.trainer import Stateful
from seqgan.training.alarms import Alarms, TrainingDiverged
from seqgan.training.schedule import Assessment, PhaseRun

logger = logging.getLogger("seqgan")
PRETRAINED = "pretrained.pt"  # beside the checkpoint: how things stood before the last phase
HEADLINES = (  # of a row, in the progress bar and in the line about a phase
    *("mle/loss", "evaluation/nll_validation", "discriminator/auc_held_out"),
    *("reward/mean", "policy/entropy"),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Training stopped because a signal asked for it; everything is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; all is saved, run again to go on")
        self.number = number


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP instead of dying; the second of them is not caught."""
    received: list[int] = []
    old: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in old.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore()

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                old[number] = signal.signal(number, receive)
    try:
        yield received
    finally:
        restore()


class TrainingLoop:
    """Phases in their order, over components whose state makes up a checkpoint.

    ``of_last_phase`` names the components that have done nothing before the last phase: a checkpoint from
    before it does not hold them, so that another run may go on from there with other settings of theirs.
    ``announce`` is called with a line about every phase that has ended, ``after_step`` after every step.
    """

    def __init__(
        self,
        phases: Sequence[PhaseRun],
        components: Mapping[str, Stateful],
        *,
        rng: torch.Generator,
        tracker: Tracker,
        settings: TrackingSettings,
        of_last_phase: Collection[str] = (),
        checkpoint_path: Path | None = None,
        header: Mapping[str, Any] | None = None,
        on_save: Callable[[str], object] = lambda phase: None,
        announce: Callable[[str], object] = lambda line: None,
        after_step: Callable[[], object] = lambda: None,
        quiet: bool = False,
    ) -> None:
        self.phases = phases
        self.alarms = Alarms()
        runs = {f"phase {phase.name}": phase for phase in phases}
        self.components: dict[str, Stateful] = {**components, "alarms": self.alarms, **runs}
        self.of_last_phase = {*of_last_phase, *list(runs)[-1:]}
        self.rng = rng
        self.tracker = tracker
        self.settings = settings
        self.checkpoint_path = checkpoint_path
        self.header = dict(header or {})
        self.on_save = on_save
        self.announce = announce
        self.after_step = after_step
        self.quiet = quiet or not settings.progress
        self.phase_index = 0
        self.started = False
        self._saved_at = time.monotonic()
        self._unchecked: Mapping[str, Tensor | float] = {}
        self._ringing: set[str] = set()
        self._headline: dict[str, str] = {}

    @property
    def step(self) -> int:
        """Steps of all phases so far."""
        return sum(phase.step for phase in self.phases)

    def done(self, num_phases: int | None = None) -> bool:
        """Return whether so many phases, by default all, are finished."""
        return self.phase_index >= (len(self.phases) if num_phases is None else num_phases)

    def resume(self) -> bool:
        """Go back to the last checkpoint; return False where there is none yet."""
        offset = 0
        found = self.checkpoint_path is not None and self.checkpoint_path.exists()
        if found:
            assert self.checkpoint_path is not None
            payload = checkpoint.load(self.checkpoint_path, "cpu")
            if payload.get("corpus") != self.header.get("corpus"):
                raise ValueError(f"{self.checkpoint_path}: belongs to another corpus than the run's")
            try:
                last_begun = payload["phase_index"] + payload["started"] >= len(self.phases)
                for name, component in self.components.items():
                    if last_begun or name not in self.of_last_phase:
                        component.load_state_dict(_to_device(payload["components"][name], self.rng.device))
                restore_random_states(payload["random_states"], self.rng)
                self.phase_index, self.started = payload["phase_index"], payload["started"]
                offset = payload["metrics_offset"]
            except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
                line = str(error).splitlines()[0]
                raise ValueError(
                    f"{self.checkpoint_path}: does not fit the run's settings: {line}"
                ) from error
        self.tracker.start(self.step, offset)
        return found

    def run(self, num_phases: int | None = None) -> None:
        """Run so many phases, by default all; those that are finished count.

        Raises:
            Interrupted: SIGINT, SIGTERM or SIGHUP came; saved first.
            TrainingDiverged: A loss or gradient is not finite; the last checkpoint is kept.
        """
        with catch_signals() as signals:
            while not self.done(num_phases):
                self._run_phase(self.phases[self.phase_index], signals)
        self.tracker.flush()

    def _run_phase(self, phase: PhaseRun, signals: list[int]) -> None:
        begun_at = time.monotonic()
        with self._progress_bar(phase) as bar:
            if not self.started:
                assessment = phase.start()
                self.started = True
                if assessment is not None:
                    self._log(phase, dict(assessment.metrics), bar)
                    self._show(assessment)
            while not phase.done:
                self._take_step(phase, bar)
                self.after_step()
                if signals:
                    self.save()
                    raise Interrupted(signals[0])
                if time.monotonic() - self._saved_at >= self.settings.checkpoint_interval:
                    self.save()
        self._check_finite()
        self._save_generator(phase)
        phase.finish()
        self.phase_index += 1
        self.started = False
        self._save_pretrained()
        self.save()
        if phase.num_steps:
            figures = "".join(f", {name} {value}" for name, value in self._headline.items())
            self.announce(f"{phase.summary()} in {time.monotonic() - begun_at:.0f} s{figures}")

    def _progress_bar(self, phase: PhaseRun) -> "tqdm[Any]":
        return tqdm(
            total=phase.num_steps,
            initial=phase.step,
            desc=_position(phase),
            disable=True if self.quiet or not phase.num_steps else None,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )

    def _take_step(self, phase: PhaseRun, bar: "tqdm[Any]") -> None:
        advance = phase.advance()
        metrics = dict(advance.report.metrics)
        for assessment in (advance.assessment, advance.conclusion):
            metrics |= {} if assessment is None else assessment.metrics
        self._unchecked = metrics
        is_assessed = advance.assessment is not None
        if advance.report.always or is_assessed or self.step % self.settings.log_interval == 0:
            self._log(phase, metrics, bar)
            for name, values in advance.report.histograms.items():
                self.tracker.log_values(self.step, name, values)
            for assessment in (advance.assessment, advance.conclusion):
                if assessment is not None:
                    self._show(assessment)
        bar.set_description_str(_position(phase), refresh=False)
        bar.update()

    def _log(self, phase: PhaseRun, metrics: Mapping[str, Tensor | float], bar: "tqdm[Any]") -> None:
        row = self.tracker.log(self.step, phase.name, metrics)
        self._unchecked = {}
        self._warn(self.alarms.check(row), phase.name, bar)
        self._headline = {
            name.split("/")[1]: f"{row[name]:.3f}" for name in HEADLINES if name in row
        } or self._headline
        bar.set_postfix(self._headline, refresh=False)

    def _show(self, assessment: Assessment) -> None:
        sentences = assessment.sentences[: self.settings.num_sentences]
        if sentences:
            self.tracker.log_text(self.step, "samples", sentences)
        self.tracker.project(assessment.projections)

    def _warn(self, alarms: dict[str, bool], phase: str, bar: "tqdm[Any]") -> None:
        rings = {name for name, ringing in alarms.items() if ringing}
        for name in sorted(rings - self._ringing):
            with bar.external_write_mode():
                logger.warning("alarm %s at step %d", name, self.step)
        self._ringing = (self._ringing - set(alarms)) | rings
        if alarms:
            self.tracker.log(self.step, phase, {f"alarm/{name}": float(on) for name, on in alarms.items()})

    def _check_finite(self) -> None:
        """Look at what has not been logged since the last row: no checkpoint of a broken model."""
        row = to_numbers(self._unchecked)
        self.alarms.check({name: value for name, value in row.items() if name.endswith(("loss", "_norm"))})
        self._unchecked = {}

    def save(self) -> None:
        """Write the checkpoint; atomic, and only of finite weights."""
        self._saved_at = time.monotonic()
        if self.checkpoint_path is None:
            return
        self._check_finite()
        models = [component for component in self.components.values() if isinstance(component, nn.Module)]
        if not all(torch.isfinite(parameter).all() for model in models for parameter in model.parameters()):
            raise TrainingDiverged(
                "a weight is not finite: training has diverged; try a smaller learning rate"
            )
        self.tracker.flush()
        checkpoint.save(self.checkpoint_path, self._payload())
        if self.started:
            self._save_generator(self.phases[self.phase_index])

    def _save_pretrained(self) -> None:
        """Keep how things stand before the last phase; before the checkpoint that says it has come."""
        if self.phase_index == len(self.phases) - 1 and self.checkpoint_path is not None:
            path = self.checkpoint_path.with_name(PRETRAINED)
            checkpoint.save(path, self._payload(leave_out=self.of_last_phase))

    def _payload(self, leave_out: Collection[str] = ()) -> dict[str, Any]:
        """Return all that a checkpoint holds."""
        components = {name: part for name, part in self.components.items() if name not in leave_out}
        return {
            **self.header,
            "components": {name: component.state_dict() for name, component in components.items()},
            "random_states": random_states(self.rng),
            "phase_index": self.phase_index,
            "started": self.started,
            "metrics_offset": self.tracker.offset,
        }

    def _save_generator(self, phase: PhaseRun) -> None:
        if phase.phase.trains_generator:
            self.on_save(phase.name)


def _position(phase: PhaseRun) -> str:
    rounds = phase.phase.rounds
    return f"{phase.name}: round {min(phase.round + 1, rounds)}/{rounds}"


def _to_device(state: Any, device: torch.device) -> Any:
    if isinstance(state, torch.Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: _to_device(value, device) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_to_device(value, device) for value in state)
    return state
