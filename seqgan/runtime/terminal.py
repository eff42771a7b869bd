"""What reaches a terminal: text without control characters, on streams that are open."""

import os
import re
import sys

CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: move the cursor, set the title, recolour
    "\u2028\u2029"  # line and paragraph separators
    "\u202a-\u202e\u2066-\u2069"  # reverse the direction of what follows
    "\ud800-\udfff]"  # lone surrogates: no stream can encode them
)


def printable(text: str) -> str:
    """Return ``text`` with control characters as escapes (backslash, x, 1b), so that a terminal shows them.

    Line breaks and tabs count as control characters; joiners, combining marks and all spaces stay.
    """
    return CONTROLS.sub(lambda match: _escape(ord(match[0])), text)


def for_output(text: str) -> str:
    """Return ``text`` as it is where standard output is a file or a pipe, and printable on a terminal."""
    return printable(text) if sys.stdout.isatty() else text


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def open_closed_streams() -> None:
    """Point standard streams that the caller has closed (``>&-``) at the null device.

    Otherwise the next file to be opened, maybe a checkpoint, would take the number of such a stream,
    and what is printed there would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
