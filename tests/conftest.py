"""What holds for all tests: tensor signatures are checked at run time, and SIGINT interrupts."""

import signal

from jaxtyping import install_import_hook

import tests.runtime_types  # noqa: F401  (the hook below finds it by name)

install_import_hook(["seqgan", "leakgan"], "tests.runtime_types.check")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
