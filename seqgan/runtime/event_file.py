"""Event files of TensorBoard, one for each of its runs, that can be cut and continued.

``SummaryWriter`` starts a new file at every restart, named by the time, and asks the reader to purge what
comes again. Readers take the files in the order of their names, so that with a clock set back the
rows after the restart vanish. One file that is cut back to its length at the checkpoint needs neither.
"""

import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

NAME = "events.out.tfevents.seqgan"  # readers look for the infix


class EventFile:
    """The event file in ``folder``, whose name within its parent is that of the run in TensorBoard."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        self._file = self.path.open("ab")
        self._records = RecordWriter(self._file)
        if not self._file.tell():
            self._write(file_version="brain.Event:2")

    def add(self, step: int, summary: Summary) -> None:
        """Append a summary."""
        self._write(step=step, summary=summary)

    def _write(self, **fields: Any) -> None:
        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())

    def flush(self) -> None:
        """Hand all that was added to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
