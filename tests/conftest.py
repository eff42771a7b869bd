"""For all tests: tensors' shapes are checked at run time, SIGINT interrupts, no example is timed."""

import os
import signal

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

import tests.runtime_types  # noqa: F401  (the hook below finds it by name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--unchecked", action="store_true", help="do not check shapes: two to three times faster"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--unchecked"):
        install_import_hook(["seqgan", "leakgan"], "tests.runtime_types.check")


settings.register_profile("patient", deadline=None)  # on a busy machine an example may take a second
settings.load_profile("patient")

os.environ.pop("SEQGAN_SCRIPTS", None)  # set by scripts/test.sh: the commands would speak of the scripts

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
