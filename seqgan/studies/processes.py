"""Commands that studies start: signals and exit statuses pass through, errors are one line."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Without abbreviations; what is wrong is a ValueError, which :func:`main` prints as one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a ValueError."""
        raise ValueError(message)


class Stopped(Exception):
    """A command that failed, and has said why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def call(*command: str, show: bool = True) -> None:
    """Run a command of this Python to its end; without ``show``, what it prints is dropped, not its errors.

    A signal that asks to stop is passed on, once: the command has a process group of its own, which the
    terminal's signals do not reach. What it is waited for to do then is its own affair.

    Raises:
        Stopped: It failed, or a signal came.
    """
    received: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if child is not None:
            child.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    old = {number: signal.signal(number, pass_on) for number in heeded}
    try:
        output = None if show else subprocess.DEVNULL
        child = subprocess.Popen([sys.executable, *command], stdout=output, process_group=0)
        for number in received:  # before there was anyone to pass it on to
            child.send_signal(number)
        status = child.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if status or received:
        raise Stopped(status if status > 0 else 128 + (-status or received[0]))


def output(*command: str) -> str:
    """Return what a command of this Python prints; its errors go where ours go.

    Raises:
        Stopped: It failed.
    """
    result = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise Stopped(result.returncode)
    return result.stdout


def main(program: str, work: Callable[..., int | None], *arguments: Any) -> int:
    """Do the work and return the exit status, as the commands do: 2 for bad input, with one line."""
    try:
        return work(*arguments) or 0
    except Stopped as stopped:
        return stopped.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (ValueError, OSError) as error:
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
