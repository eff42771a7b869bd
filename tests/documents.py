"""The README and the pages of docs/ as something that can be run.

A Python block whose first line is ``# NAME.py`` is a file; any other is run. A shell block holds commands of
ours, one a line. The HTML comment ``<!-- long: TIME -->`` before a block says that it is not run: its
commands must parse. What is run starts from the preset ``tiny`` and a few steps of everything, unless its
flags say otherwise.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqgan import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SMALL = {
    "--mle.epochs": "2",
    "--discriminator-training.refreshes": "1",
    "--discriminator-training.epochs": "1",
    "--adversarial.rounds": "2",
    "--adversarial.policy-steps": "1",
    "--adversarial.evaluation-interval": "2",
    "--evaluation.num-samples": "40",
    "--evaluation.num-samples-in-training": "20",
}
STARTING = ("prepare", "pretrain", "train")
BLOCK = re.compile(
    r"(?:<!-- long: (?P<long>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    long: str | None

    @property
    def file(self) -> str | None:
        """The name of the file that the block is."""
        first = re.match(r"# ([\w/]+\.py)\n", self.text)
        return first[1] if first and self.language == "python" else None

    @property
    def commands(self) -> list["Command"]:
        """The commands of a shell block."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [Command.parse(words) for line in lines if (words := shlex.split(line, comments=True))]


@dataclass(frozen=True)
class Command:
    """A command line of ours; ``name`` is empty where it is no command of the package but a script."""

    words: list[str]
    package: str = ""
    name: str = ""
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, words: list[str]) -> "Command":
        first, *rest = words
        if first == "python" and rest[:1] == ["-m"] and rest[1] in ("seqgan", "leakgan"):
            return cls(words, rest[1], rest[2], tuple(rest[3:]))
        if first in ("seqgan", "leakgan"):
            return cls(words, first, rest[0], tuple(rest[1:]))
        name = Path(first).stem
        if first == f"scripts/{name}.sh" and name in cli.COMMANDS:
            package = rest.pop(0) if rest[:1] in (["seqgan"], ["leakgan"]) else "seqgan"
            return cls(words, package, name, tuple(rest))
        return cls(words)

    def value(self, flag: str) -> str | None:
        """The value of a flag, if it is given."""
        return self.flags[self.flags.index(flag) + 1] if flag in self.flags else None

    def small(self) -> "Command":
        """The same command; if it starts a run, then from small settings."""
        run = self.value("--run")
        starts = self.name in STARTING and "--help" not in self.flags
        if not starts or "--pretrained" in self.flags or (run and (Path(run) / "config.toml").exists()):
            return self
        preset = [] if "--preset" in self.flags else ["--preset", "tiny"]
        few = [part for flag, value in SMALL.items() if flag not in self.flags for part in (flag, value)]
        return Command(self.words, self.package, self.name, (*preset, *self.flags, *few))


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"], found["text"], found["long"])


class Installation:
    """A copy of scripts/ with an environment whose ``python`` and console scripts are this project's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        programs = root / ".venv" / "bin"
        programs.mkdir(parents=True)
        shutil.copytree(ROOT / "scripts", root / "scripts")
        requirements = b""
        for name in ("setup.cfg", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, root)
            requirements += (ROOT / name).read_bytes()
        stamp = subprocess.run(["cksum"], input=requirements, capture_output=True, check=True).stdout
        (root / ".venv" / "installed").write_bytes(stamp)
        write_program(programs / "python", "#!/bin/sh", f'exec {shlex.quote(sys.executable)} "$@"')
        for name, module in (("seqgan", "seqgan.cli"), ("leakgan", "leakgan.__main__")):  # as pip writes them
            start = [f"#!{sys.executable}", "import sys", f"from {module} import main"]
            write_program(programs / name, *start, "sys.exit(main())")
        (programs / "activate").write_text(f"PATH={shlex.quote(str(programs))}:$PATH\n")
        path = f"{programs}:{os.environ['PATH']}"
        self.variables = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def call(self, way: str, name: str, flags: Sequence[str], cwd: Path) -> str:
        """Call a command of seqgan as a module, by its console script or by a script; return its output."""
        words = {
            "module": ["python", "-m", "seqgan", name],
            "console": ["seqgan", name],
            "script": [str(self.root / "scripts" / f"{name}.sh")],
        }
        result = subprocess.run(
            [*words[way], *flags], cwd=cwd, env=self.variables, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


def write_program(path: Path, *lines: str) -> None:
    """Write a file that can be executed."""
    path.write_text("\n".join([*lines, ""]))
    path.chmod(0o755)
