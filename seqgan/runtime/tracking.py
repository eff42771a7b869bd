"""Metrics on their way out: TensorBoard and JSON lines.

Metrics stay tensors on the device until a row is written, then all of them cross in one transfer.
Steps count from the first of their phase, and each phase is a run of its own in TensorBoard: so curves
of different runs lie above each other however long their pre-training took.
"""

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch import Tensor
from torch.utils.tensorboard import summary

from seqgan.config.ranges import Range
from seqgan.runtime.event_file import NAME, EventFile
from seqgan.runtime.files import write_atomically
from seqgan.runtime.terminal import printable

Metrics = Mapping[str, Tensor | float]

NUM_BINS = 30  # of a histogram: as many as TensorBoard draws


@dataclass(frozen=True, kw_only=True)
class TrackingSettings:
    """Logging and checkpoints; nothing here changes a result."""

    log_interval: Annotated[int, Range(minimum=1)] = 20
    """Steps between two rows of metrics."""
    checkpoint_interval: Annotated[float, Range(minimum=0)] = 60.0
    """Seconds between two checkpoints."""
    num_sentences: Annotated[int, Range(minimum=0)] = 10
    """Sentences shown in TensorBoard at each evaluation."""
    progress: bool = True
    """Show progress bars when standard error is a terminal."""


@dataclass(frozen=True)
class Projection:
    """Vectors to look at in TensorBoard's projector, and what is known of each."""

    vectors: Float[Tensor, "N D"]
    columns: Mapping[str, Sequence[object]]
    """Name of a column to its N entries, by any of which the points can be coloured."""


def to_numbers(metrics: Metrics) -> dict[str, float]:
    """Return all values as Python numbers, with one transfer from the device."""
    tensors = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    numbers = torch.stack([v.detach().float() for v in tensors.values()]).tolist() if tensors else []
    converted = dict(zip(tensors, numbers, strict=True))
    return {name: float(converted.get(name, value)) for name, value in metrics.items()}


class Tracker:
    """A writer of rows to ``metrics.jsonl`` and of events to TensorBoard; without a folder, to nowhere.

    TensorBoard draws equal names of several runs in one chart, so metrics among ``units`` have their unit in
    their name there. The tracker's state is the length of each file. Restoring it cuts what an interrupted
    run wrote after its last checkpoint; before the first row of a new run, an empty state is restored.
    """

    def __init__(self, folder: Path | None, units: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.units = units or {}
        self.last_row: dict[str, float] = {}
        self._events: dict[str, EventFile] = {}

    def state_dict(self) -> dict[str, int]:
        """Return the lengths of all files in bytes, by their paths in the folder."""
        self.flush()
        if self.folder is None:
            return {}
        return {str(path.relative_to(self.folder)): path.stat().st_size for path in self._files()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Cut all files back to the lengths in ``state``; a file that is not there to nothing."""
        self.close()
        for path in self._files():
            length = state.get(str(path.relative_to(self.folder or "")), 0)
            with path.open("ab") as file:
                file.truncate(min(length, file.tell()))

    def _files(self) -> list[Path]:
        if self.folder is None:
            return []
        rows = [path for path in (self.folder / "metrics.jsonl",) if path.exists()]
        return rows + sorted((self.folder / "tensorboard").glob(f"*/{NAME}"))

    def _event_file(self, phase: str) -> EventFile | None:
        if self.folder is None:
            return None
        if phase not in self._events:
            self._events[phase] = EventFile(self.folder / "tensorboard" / phase)
        return self._events[phase]

    def log(self, step: int, phase: str, metrics: Metrics) -> dict[str, float]:
        """Write one row; return its numbers. ``step`` counts from the first of the phase."""
        row = self.last_row = to_numbers(metrics)
        self._write_row(step, phase, row)
        if (events := self._event_file(phase)) is not None:
            for name, value in row.items():
                tag = f"{name}, {self.units[name]}" if self.units.get(name) else name
                events.add(step, summary.scalar(tag, value))
        return row

    def _write_row(self, step: int, phase: str, values: Mapping[str, Any]) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(encode_row({"step": step, "phase": phase, **values}))

    def log_alarm(self, step: int, phase: str, name: str, *, ringing: bool, text: str) -> None:
        """Write that an alarm has begun or ceased to ring: a row, and text in TensorBoard."""
        self._write_row(step, phase, {"alarm": name, "ringing": ringing, "text": text})
        self.log_text(step, phase, f"alarm/{name}", [text])

    def log_text(self, step: int, phase: str, name: str, lines: Sequence[str]) -> None:
        """Show lines of text in TensorBoard, as they are but for control characters."""
        if (events := self._event_file(phase)) is not None:
            events.add(step, _text(name, lines))

    def log_values(self, step: int, phase: str, name: str, values: Tensor) -> None:
        """Show the distribution of the finite ones among ``values`` in TensorBoard."""
        if (events := self._event_file(phase)) is not None:
            numbers = values.detach().float().cpu().flatten().numpy()
            if (finite := numbers[np.isfinite(numbers)]).size:
                events.add(step, summary.histogram(name, finite, NUM_BINS))

    def log_settings(self, settings: Mapping[str, Any]) -> None:
        """Show settings by their dotted names, as TensorBoard's hyperparameters and as text.

        They lie in a file of their own, which is written anew at every start and never cut.
        """
        if self.folder is None:
            return
        shown = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in settings.items()
        }
        folder = self.folder / "tensorboard"
        (folder / NAME).unlink(missing_ok=True)
        events = EventFile(folder)
        events.add(0, hparams_pb(shown))
        events.add(0, _text("settings", [f"{name} = {value}" for name, value in shown.items()]))
        events.close()

    def project(self, projections: Mapping[str, Projection]) -> None:
        """Show vectors in TensorBoard's projector, in the place of those of the same names before."""
        if self.folder is None or not projections:
            return
        folder = self.folder / "tensorboard"
        config = []
        for name, projection in projections.items():
            _write_table(folder / f"{name}.tsv", projection.vectors.tolist())
            rows = zip(*projection.columns.values(), strict=True)
            _write_table(folder / f"{name}-labels.tsv", [projection.columns, *rows])
            config.append(
                f'embeddings {{ tensor_name: "{name}" tensor_path: "{name}.tsv" '
                f'metadata_path: "{name}-labels.tsv" }}\n'
            )
        write_atomically(folder / "projector_config.pbtxt", lambda file: file.write("".join(config).encode()))

    def flush(self) -> None:
        """Hand all that was written to the operating system."""
        for events in self._events.values():
            events.flush()

    def close(self) -> None:
        """Flush and close the event files; what is written later opens them again."""
        for events in self._events.values():
            events.close()
        self._events.clear()


def _text(name: str, lines: Sequence[str]) -> Summary:
    """Return lines as a code block of TensorBoard's Markdown."""
    return summary.text(name, "\n".join(f"    {printable(line)}" for line in lines))


def _write_table(path: Path, rows: Iterable[Iterable[object]]) -> None:
    text = "".join("\t".join(printable(str(cell)) for cell in row) + "\n" for row in rows)
    write_atomically(path, lambda file: file.write(text.encode()))


CHECKSUM = ', "crc32": "'  # begins the last entry of a row


def encode_row(row: Mapping[str, Any]) -> str:
    """Return a row as a line of JSON that ends with the CRC-32 of the line without it.

    Numbers that are not finite become null.
    """
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    text = json.dumps(finite)
    return f'{text[:-1]}{CHECKSUM}{zlib.crc32(text.encode()):08x}"}}\n'


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a ``metrics.jsonl``, without their checksums.

    Raises:
        ValueError: A line is damaged or cut off; names the file and the line.
    """
    lines = path.read_bytes().decode(errors="replace").split("\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        text = line.rpartition(CHECKSUM)[0] + "}"
        if line != f'{text[:-1]}{CHECKSUM}{zlib.crc32(text.encode()):08x}"}}':
            if number == len(lines) and not line:
                return rows  # what follows the last line break
            raise ValueError(f"{path}: line {number} is damaged: its checksum does not match")
        rows.append(json.loads(text))
    raise ValueError(f"{path}: line {len(lines)} is cut off")
