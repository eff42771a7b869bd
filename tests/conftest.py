"""For all tests: tensors' shapes are checked at run time, SIGINT interrupts, no example is timed.

What imports seqgan does so inside of fixtures: the hook that checks shapes must come first.
"""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

import tests.runtime_types  # noqa: F401  (the hook below finds it by name)

if TYPE_CHECKING:
    from tests.command_line import CommandLine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unchecked", action="store_true", help="do not check shapes: half the time")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--unchecked"):
        install_import_hook(["seqgan", "leakgan"], "tests.runtime_types.check")


settings.register_profile("patient", deadline=None)  # on a busy machine an example may take a second
settings.load_profile("patient")

os.environ.pop("SEQGAN_SCRIPTS", None)  # set by scripts/test.sh: the commands would speak of the scripts

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(name="cli")
def command_line(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "CommandLine":
    """Runs commands in an empty folder, which is ``tmp_path``."""
    from tests.command_line import CommandLine  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["seqgan"])
    return CommandLine(capfd)


@pytest.fixture(scope="session", name="finished_run")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of ``tests.tiny_run.SETTINGS``, to be read only; ``own_run`` is a copy to write into."""
    from seqgan.cli import main  # noqa: PLC0415
    from tests.tiny_run import TINY  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("finished")
    data = ["--data", str(folder / "data")]
    assert main(["train", *TINY, *data, "--run", str(folder / "run"), "--quiet"]) == 0
    before = file_times(folder)
    yield folder / "run"
    assert file_times(folder) == before


def file_times(folder: Path) -> dict[Path, int]:
    """When each file in it was written last."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(name="own_run")
def copied_run(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run for one test alone."""
    return shutil.copytree(finished_run, tmp_path / "copy")
