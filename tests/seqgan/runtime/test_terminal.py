import subprocess
import sys
from pathlib import Path

import pytest

from seqgan.runtime.terminal import for_output, printable

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ä, 漢\u3000字, \u200cء, 👩\u200d💻", "plain text, ä, 漢\u3000字, \u200cء, 👩\u200d💻"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\tb\nc\rd\x7f\x9b", "a\\x09b\\x0ac\\x0dd\\x7f\\x9b"),
        ("\u202eevil\u2066\u2028", "\\u202eevil\\u2066\\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_shown_and_letters_stay(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_terminal_is_spared(monkeypatch, is_terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert for_output("\x1b[2J") == ("\\x1b[2J" if is_terminal else "\x1b[2J")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_take_what_is_printed_and_no_file_gets_their_numbers(tmp_path, closed):
    program = (
        "import sys; from seqgan.runtime.terminal import open_closed_streams; open_closed_streams();"
        "file = open('file', 'w'); print('out'); print('error', file=sys.stderr); sys.stdout.flush();"
        "file.write(str(file.fileno())); file.close(); assert sys.stdin.read() == ''"
    )
    command = f'{sys.executable} -c "{program}" </dev/null {closed}'
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "file").read_text()) > 2
    assert done.stdout == ("" if "1>&-" in closed else "out\n")
    assert done.stderr == ("" if "2>&-" in closed else "error\n")
