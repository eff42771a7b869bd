"""Signals that stop a process, and what must not be cut short by them.

SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal has gone) are treated alike. One that the process was
started to ignore, as by ``nohup`` or in a shell's background job, stays ignored.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """The stopping signals that have come. The first is kept for when it suits, the second interrupts."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._protected = 0

    @property
    def first(self) -> int | None:
        """The number of the first signal, or None while there was none."""
        return self.received[0] if self.received else None

    @contextmanager
    def protect(self) -> Iterator[None]:
        """Let no signal interrupt the block, however many come: what is saved in it is saved whole."""
        self._protected += 1
        try:
            yield
        finally:
            self._protected -= 1

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: It is not the first, and nothing is protected.
        """
        self.received.append(number)
        if len(self.received) > 1 and not self._protected:
            raise KeyboardInterrupt(number)


@contextmanager
def collect_stop_requests() -> Iterator[StopRequests]:
    """Collect stopping signals while the block runs; elsewhere than in the main thread none come."""
    requests = StopRequests()
    with _handling(requests.receive):
        yield requests


@contextmanager
def unwind_on_signals() -> Iterator[None]:
    """Let every stopping signal raise ``KeyboardInterrupt`` with its number, so that files are cleaned up."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt(number)

    with _handling(stop):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Handle the stopping signals that are not ignored, and give them back at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    old = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, previous in old.items():
            signal.signal(number, previous)
