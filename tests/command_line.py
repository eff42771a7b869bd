"""Commands as people give them: in this process, and as processes of their own."""

import os
import subprocess
import sys
from typing import Any

import pytest

from seqgan.cli import main
from tests.tiny_run import ROOT


class CommandLine:
    """Runs commands in this process and reads what they write; the fixture ``cli`` is one."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def result(self, *arguments: object, package: str = "seqgan") -> tuple[int, str, str]:
        """The exit status, and what was written on standard output and on standard error."""
        self.capture.readouterr()
        status = main([str(argument) for argument in arguments], package=package)
        return status, *self.capture.readouterr()

    def __call__(self, *arguments: object, package: str = "seqgan") -> str:
        """The output of a command that ends well and has nothing to complain of."""
        status, output, errors = self.result(*arguments, package=package)
        assert (status, errors) == (0, "")
        return output

    def fails(self, *arguments: object, package: str = "seqgan") -> str:
        """The one line of a command that must refuse what it is given."""
        status, output, errors = self.result(*arguments, package=package)
        assert (status, output) == (2, "")
        assert errors.startswith(f"{package}: error: ") and errors.count("\n") == 1
        return errors


def environment() -> dict[str, str]:
    """What a process needs to find the package from any folder."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def command(*arguments: object) -> list[str]:
    """The command as the arguments of a process."""
    return [sys.executable, "-m", "seqgan", *map(str, arguments)]


def run_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own; ``options`` are those of ``subprocess.run``."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, check=False, **options
    )
