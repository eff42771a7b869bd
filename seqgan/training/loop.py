"""The one loop: runs phases step by step, logs, warns, checkpoints, stops when asked and resumes exactly."""

import logging
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from seqgan.runtime import checkpoint
from seqgan.runtime.devices import without_subnormals
from seqgan.runtime.files import as_value_error
from seqgan.runtime.seeding import random_states, restore_random_states
from seqgan.runtime.signals import StopRequests, collect_stop_requests
from seqgan.runtime.tracking import Tracker, TrackingSettings, to_numbers
from seqgan.runtime.trainer import Stateful
from seqgan.training.alarms import AlarmChange, Alarms, TrainingDiverged, check_finite
from seqgan.training.schedule import Assessment, PhaseRun

logger = logging.getLogger("seqgan")
PRETRAINED = "pretrained.pt"  # beside the checkpoint: how things stood before the last phase
HEADLINES = {  # of a row, in the progress bar and in the line about a phase; of equal words the last counts
    "mle/loss": "loss",
    "evaluation/nll_validation": "nll_validation",
    "discriminator/auc_held_out": "auc_held_out",
    "reward/mean": "reward",
    "evaluation/reward": "reward",
    "policy/entropy": "entropy",
}


class Interrupted(KeyboardInterrupt):
    """Training stopped because a signal asked for it; everything is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; all is saved, run again to go on")
        self.number = number


class TrainingLoop:
    """Phases in their order, over components whose state makes up a checkpoint.

    ``of_last_phase`` names the components that have done nothing before the last phase: a checkpoint from
    before it does not hold them, so that another run may go on from there with other settings of theirs.
    ``announce`` is called with a line about every phase that has ended, ``after_step`` after every step.
    ``silent_alarms`` never ring.
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
        silent_alarms: Collection[str] = (),
        quiet: bool = False,
    ) -> None:
        self.phases = phases
        self.alarms = Alarms(silent_alarms)
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
        lengths: Mapping[str, int] = {}
        found = self.checkpoint_path is not None and self.checkpoint_path.exists()
        if found:
            assert self.checkpoint_path is not None
            payload = checkpoint.load(self.checkpoint_path, corpus=self.header.get("corpus"))
            with as_value_error(f"{self.checkpoint_path}: does not fit the run's settings"):
                last_begun = payload["phase_index"] + payload["started"] >= len(self.phases)
                for name, component in self.components.items():
                    if last_begun or name not in self.of_last_phase:
                        _load_state(component, payload["components"][name], self.rng.device)
                restore_random_states(payload["random_states"], self.rng)
                self.phase_index, self.started = payload["phase_index"], payload["started"]
                lengths = payload["tracked"]
        self.tracker.load_state_dict(lengths)
        return found

    def run(self, num_phases: int | None = None) -> None:
        """Run so many phases, by default all; those that are finished count.

        Raises:
            Interrupted: SIGINT, SIGTERM or SIGHUP came; saved first.
            TrainingDiverged: A loss or gradient is not finite; the last checkpoint is kept.
        """
        try:
            with collect_stop_requests() as requests, without_subnormals():
                while not self.done(num_phases):
                    self._run_phase(self.phases[self.phase_index], requests)
        finally:
            self.tracker.close()

    def _run_phase(self, phase: PhaseRun, requests: StopRequests) -> None:
        begun_at = time.monotonic()
        with self._progress_bar(phase) as bar:
            if not self.started:
                assessment = phase.start()
                self.started = True
                if assessment is not None:
                    self._log(phase, dict(assessment.metrics), bar)
                    self._show(phase, assessment)
            while not phase.done:
                self._take_step(phase, bar)
                self.after_step()
                stop = requests.first
                due = time.monotonic() - self._saved_at >= self.settings.checkpoint_interval
                if due or stop is not None:
                    with requests.protect():
                        self.save()
                if stop is not None:
                    raise Interrupted(stop)
        with requests.protect():
            self._finish_phase(phase)
        if phase.num_steps:
            figures = "".join(f", {name} {value}" for name, value in self._headline.items())
            self.announce(f"{phase.summary()} in {time.monotonic() - begun_at:.0f} s{figures}")

    def _finish_phase(self, phase: PhaseRun) -> None:
        self._check_finite()
        self._save_generator(phase)
        phase.finish()
        self.phase_index += 1
        self.started = False
        self._save_pretrained()
        self.save()

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
                self.tracker.log_values(phase.step, phase.name, name, values)
            for assessment in (advance.assessment, advance.conclusion):
                if assessment is not None:
                    self._show(phase, assessment)
        bar.set_description_str(_position(phase), refresh=False)
        bar.update()

    def _log(self, phase: PhaseRun, metrics: Mapping[str, Tensor | float], bar: "tqdm[Any]") -> None:
        row = self.tracker.log(phase.step, phase.name, metrics)
        self._unchecked = {}
        self._warn(self.alarms.check(row, step=phase.step, phase=phase.name), bar)
        self._headline = {
            word: f"{row[name]:.3f}" for name, word in HEADLINES.items() if name in row
        } or self._headline
        bar.set_postfix(self._headline, refresh=False)

    def _show(self, phase: PhaseRun, assessment: Assessment) -> None:
        for name, lines in assessment.texts.items():
            if shown := lines[: self.settings.num_sentences]:
                self.tracker.log_text(phase.step, phase.name, name, shown)
        self.tracker.project(assessment.projections)

    def _warn(self, changes: Sequence[AlarmChange], bar: "tqdm[Any]") -> None:
        for change in changes:
            text = change.text
            self.tracker.log_alarm(change.step, change.phase, change.name, ringing=change.ringing, text=text)
            if change.ringing:
                with bar.external_write_mode():
                    logger.warning("alarm at step %d of %s: %s", change.step, change.phase, text)

    def _check_finite(self) -> None:
        """Look at what has not been logged since the last row: no checkpoint of a broken model."""
        check_finite(to_numbers(self._unchecked))
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
            "tracked": self.tracker.state_dict(),
        }

    def _save_generator(self, phase: PhaseRun) -> None:
        if phase.phase.trains_generator:
            self.on_save(phase.name)


def _position(phase: PhaseRun) -> str:
    rounds = phase.phase.rounds
    return f"{phase.name}: round {min(phase.round + 1, rounds)}/{rounds}"


def _load_state(component: Stateful, state: Any, device: torch.device) -> None:
    if isinstance(component, nn.Module):
        checkpoint.load_weights(component, state)
    else:
        component.load_state_dict(_to_device(state, device))


def _to_device(state: Any, device: torch.device) -> Any:
    if isinstance(state, torch.Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: _to_device(value, device) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(_to_device(value, device) for value in state)
    return state
