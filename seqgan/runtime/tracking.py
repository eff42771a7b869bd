"""Metrics on their way out: TensorBoard, JSON lines and progress bars.

Metrics stay tensors on the device until a row is written, then all of them cross in one transfer.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from seqgan.config.ranges import Range
from seqgan.runtime.files import write_atomically

Metrics = Mapping[str, Tensor | float]


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
    """All values as Python numbers, with one transfer from the device."""
    tensors = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    numbers = torch.stack([v.detach().float() for v in tensors.values()]).tolist() if tensors else []
    converted = dict(zip(tensors, numbers, strict=True))
    return {name: float(converted.get(name, value)) for name, value in metrics.items()}


class Tracker:
    """Writes one row per logged step to ``metrics.jsonl`` and to TensorBoard; without a folder, nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None
        self.last_row: dict[str, float] = {}

    def start(self, step: int, offset: int) -> None:
        """Go on after ``step``: cut rows behind byte ``offset``, which an interrupted run left."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._rows_path.open("ab") as file:
            file.truncate(min(offset, file.tell()))
        self._writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)

    @property
    def offset(self) -> int:
        """Bytes of ``metrics.jsonl`` written so far."""
        return self._rows_path.stat().st_size if self.folder and self._rows_path.exists() else 0

    @property
    def _rows_path(self) -> Path:
        assert self.folder is not None
        return self.folder / "metrics.jsonl"

    def log(self, step: int, phase: str, metrics: Metrics) -> dict[str, float]:
        """Write one row; gives the numbers back."""
        row = self.last_row = to_numbers(metrics)
        if self._writer is not None:
            finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
            with self._rows_path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "phase": phase, **finite}) + "\n")
            for name, value in row.items():
                self._writer.add_scalar(name, value, step)
        return row

    def log_text(self, step: int, name: str, lines: Sequence[str]) -> None:
        """Show lines of text in TensorBoard, as they are."""
        if self._writer is not None:
            text = "\n".join(f"    {line}" for line in lines)
            self._writer.add_text(name, text, step)

    def log_values(self, step: int, name: str, values: Tensor) -> None:
        """Show the distribution of ``values`` in TensorBoard."""
        if self._writer is not None:
            self._writer.add_histogram(name, values.detach().float().cpu(), step)

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
        """Everything to disk."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _write_table(path: Path, rows: Iterable[Iterable[object]]) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    write_atomically(path, lambda file: file.write(text.encode()))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
