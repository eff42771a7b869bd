"""The README is true: its example runs, its commands parse, its paths exist."""

import re
import shlex

import pytest
from seqgan.experiment.frameworks import find_experiment

from seqgan.cli import COMMANDS, parse
from tests.tiny_run import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    """Every command of ours in the README's shell blocks, as framework, subcommand and flags."""
    for block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "-m"]:
                yield words[2:]
            elif words and words[0].startswith("scripts/"):
                assert (ROOT / words[0]).exists(), words[0]
                name = words[0].removeprefix("scripts/").removesuffix(".sh")
                if name in COMMANDS:
                    package = words.pop(1) if words[1:2] in (["seqgan"], ["leakgan"]) else "seqgan"
                    yield [package, name, *words[1:]]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_commands_parse(words):
    package, name, *flags = words
    if flags == ["--help"]:
        flags = []
    parse(name, flags, find_experiment(package).framework)


def test_every_subcommand_is_shown():
    assert {words[1] for words in commands()} == set(COMMANDS)


def test_the_example_runs(monkeypatch, capsys):
    (example,) = blocks("python")
    assert len(example.strip().splitlines()) <= 12
    monkeypatch.chdir(ROOT)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.count("\n") >= 3


def test_paths_exist():
    for path in re.findall(r"`((?:scripts|data|seqgan|tests)/[\w./-]*)`", README):
        if not path.startswith(("data/prepared", "data/downloads")):
            assert (ROOT / path).exists(), path
