"""The one loop: runs phases step by step, logs, warns, checkpoints, stops when asked and resumes exactly."""

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from seqgan.runtime import checkpoint
from seqgan.runtime.files import as_value_error
from seqgan.runtime.seeding import random_states, restore_random_states
from seqgan.runtime.signals import StopRequests, collect_stop_requests
from seqgan.runtime.tracking import Tracker, TrackingSettings, to_numbers
from seqgan.training.alarms import AlarmChange, Alarms, TrainingDiverged, check_finite
from seqgan.training.phase import Phase, Stateful, StepResult

logger = logging.getLogger("seqgan")
PRETRAINED = "pretrained.pt"  # beside the checkpoint: how things stood before the last phase


class Interrupted(Exception):
    """Training stopped because a signal asked for it; everything is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; all is saved, run again to go on")
        self.number = number


class TrainingLoop:
    """Phases in their order, over components whose state makes up a checkpoint."""

    def __init__(
        self,
        phases: Sequence[Phase],
        components: Mapping[str, Stateful],
        *,
        rng: torch.Generator,
        tracker: Tracker,
        settings: TrackingSettings,
        checkpoint_path: Path | None = None,
        header: Mapping[str, Any] | None = None,
        on_save: Callable[[str], object] = lambda phase: None,
        quiet: bool = False,
    ) -> None:
        self.phases = phases
        self.alarms = Alarms()
        self.components = {**components, "alarms": self.alarms, **{p.name: p for p in phases}}
        self.rng = rng
        self.tracker = tracker
        self.settings = settings
        self.checkpoint_path = checkpoint_path
        self.header = dict(header or {})
        self.on_save = on_save
        self.quiet = quiet or not settings.progress
        self.phase_index = 0
        self.started = False
        self._saved_at = time.monotonic()
        self._unchecked: StepResult | None = None

    @property
    def step(self) -> int:
        """Steps of all phases so far."""
        return sum(phase.step for phase in self.phases)

    def done(self, num_phases: int | None = None) -> bool:
        """Whether so many phases, by default all, are finished."""
        return self.phase_index >= (len(self.phases) if num_phases is None else num_phases)

    def resume(self) -> bool:
        """Go back to the last checkpoint; False where there is none yet."""
        lengths: Mapping[str, int] = {}
        found = self.checkpoint_path is not None and self.checkpoint_path.exists()
        if found:
            assert self.checkpoint_path is not None
            payload = checkpoint.load(self.checkpoint_path, corpus=self.header.get("corpus"))
            with as_value_error(f"{self.checkpoint_path}: does not fit the run's settings"):
                begun = payload["started"] or payload["phase_index"] == len(self.phases)
                for name, component in self.components.items():
                    if begun or name in payload["components"] or name not in self._of_last_phase:
                        _load_state(component, payload["components"][name], self.rng.device)
                restore_random_states(payload["random_states"], self.rng)
                self.phase_index, self.started = payload["phase_index"], payload["started"]
                lengths = payload["tracked"]
        self.tracker.load_state_dict(lengths)
        return found

    def run(self, num_phases: int | None = None) -> None:
        """Run so many phases, by default all; those that are finished count.

        Raises:
            Interrupted: SIGINT or SIGTERM came; saved first.
            TrainingDiverged: A loss or gradient is not finite; the last checkpoint is kept.
        """
        with collect_stop_requests() as requests:
            while not self.done(num_phases):
                self._run_phase(self.phases[self.phase_index], requests)
        self.tracker.flush()

    def _run_phase(self, phase: Phase, requests: StopRequests) -> None:
        if not self.started:
            phase.start()
            self.started = True
        bar = tqdm(
            total=phase.num_steps,
            initial=phase.step,
            desc=phase.name,
            disable=True if self.quiet else None,
            dynamic_ncols=True,
        )
        with bar:
            while not phase.done:
                self._report(phase, phase.advance(), bar)
                bar.update()
                stop = requests.first
                due = time.monotonic() - self._saved_at >= self.settings.checkpoint_interval
                if due or stop is not None:
                    with requests.protect():
                        self.save()
                if stop is not None:
                    raise Interrupted(stop)
        with requests.protect():
            self._finish_phase(phase)

    def _finish_phase(self, phase: Phase) -> None:
        self._check_finite()
        self._save_generator(phase)
        phase.finish()
        self.phase_index += 1
        self.started = False
        if self.phase_index == len(self.phases) - 1 and self.checkpoint_path is not None:
            path = self.checkpoint_path.with_name(PRETRAINED)  # first: once state.pt is ahead, nobody would
            checkpoint.save(path, self._payload(leave_out=self._of_last_phase))
        self.save()

    def _report(self, phase: Phase, result: StepResult, bar: "tqdm[Any]") -> None:
        self._unchecked = result
        if not result.always and self.step % self.settings.log_interval:
            return
        step = phase.step
        row = self.tracker.log(step, phase.name, result.metrics)
        self._unchecked = None
        self._warn(self.alarms.check(row, step=step, phase=phase.name), bar)
        for name, values in result.values.items():
            self.tracker.log_values(step, phase.name, name, values)
        if result.evaluation is not None:
            sentences = result.evaluation.sentences[: self.settings.num_sentences]
            self.tracker.log_text(step, phase.name, "samples", sentences)
            self.tracker.project(result.evaluation.projections)
        bar.set_postfix(_headline(row))

    def _warn(self, changes: Sequence[AlarmChange], bar: "tqdm[Any]") -> None:
        for change in changes:
            text = change.text
            self.tracker.log_alarm(change.step, change.phase, change.name, ringing=change.ringing, text=text)
            if change.ringing:
                with bar.external_write_mode():
                    logger.warning("alarm at step %d of %s: %s", change.step, change.phase, text)

    def _check_finite(self) -> None:
        """No checkpoint of a broken model: look at what has not been logged since the last row."""
        if self._unchecked is not None:
            check_finite(to_numbers(self._unchecked.metrics))
            self._unchecked = None

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

    @property
    def _of_last_phase(self) -> tuple[str, ...]:
        """Components that have done nothing before the last phase, and that other settings may change."""
        return ("algorithm", self.phases[-1].name)

    def _payload(self, leave_out: Sequence[str] = ()) -> dict[str, Any]:
        """All that a checkpoint holds."""
        components = {name: part for name, part in self.components.items() if name not in leave_out}
        return {
            **self.header,
            "components": {name: component.state_dict() for name, component in components.items()},
            "random_states": random_states(self.rng),
            "phase_index": self.phase_index,
            "started": self.started,
            "tracked": self.tracker.state_dict(),
        }

    def _save_generator(self, phase: Phase) -> None:
        if phase.trains_generator:
            self.on_save(phase.name)


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


HEADLINES = ("loss", "nll_validation", "accuracy", "auc_held_out", "mean", "entropy")


def _headline(row: Mapping[str, float]) -> dict[str, str]:
    """The numbers that matter, for the progress bar."""
    names = {name.split("/")[1]: value for name, value in row.items() if "/step_" not in name}
    return {name: f"{names[name]:.3f}" for name in HEADLINES if name in names}
