import sys

import pytest

from seqgan.config.kinds import KindSettings, absolute, find_kind, foreign_place, source_digest

FILE = """
from abc import ABC, abstractmethod
from dataclasses import dataclass

from seqgan.config.kinds import KindSettings


@dataclass(frozen=True, kw_only=True)
class ThingSettings(KindSettings):
    size: int = 3


class Thing:
    def __init__(self, settings: ThingSettings, *, corpus, rng=None, **others):
        self.got = (settings.size, corpus, rng, others)


class Bare:
    def __init__(self, *, corpus):
        self.corpus = corpus


def build(settings: ThingSettings, *, vocabulary):
    return settings.size * vocabulary


def score(completions, **columns):
    return [1.0 for _ in completions]


def fail(text):
    return int(text)


class Untyped:
    def __init__(self, settings):
        pass


class Unknown:
    def __init__(self, settings: "Nowhere"):
        pass


@dataclass(frozen=True, kw_only=True)
class UnsetSettings(KindSettings):
    size: int


class Unset:
    def __init__(self, settings: UnsetSettings):
        pass


class Half(ABC):
    @abstractmethod
    def logits(self):
        pass


async def later(completions):
    pass
"""


@pytest.fixture(name="file")
def a_file(tmp_path):
    path = tmp_path / "things.py"
    path.write_text(FILE)
    return path


def kind(name):
    return find_kind(str(name), {}, "--part.kind")


def material(**known):
    def get(name):
        if name not in known:
            raise KeyError("there are apples")
        return known[name]

    return get


def test_a_class_gets_its_settings_and_what_it_asks_for_by_name(file):
    found = kind(f"{file}:Thing")
    settings = found.settings(size=7)
    assert found.is_factory
    assert found.build(settings, material(corpus="text", unasked=1)).got == (7, "text", None, {})
    assert found.build(settings, material(corpus="text", rng=5)).got == (7, "text", 5, {})


def test_what_does_not_exist_is_named_with_what_there_is(file):
    found = kind(f"{file}:Thing")
    with pytest.raises(ValueError, match="things.py:Thing: asks for 'corpus'; there are apples"):
        found.build(found.settings(), material(rng=5))


def test_a_kind_may_do_without_settings_and_may_be_a_function(file):
    bare = kind(f"{file}:Bare")
    assert bare.settings is KindSettings
    assert bare.build(KindSettings(), material(corpus=3)).corpus == 3
    function = kind(f"{file}:build")
    assert function.is_factory
    assert function.build(function.settings(size=2), material(vocabulary=5)) == 10
    plain = kind(f"{file}:score")
    assert not plain.is_factory
    assert plain.settings is KindSettings
    assert plain.target(["a", "b"]) == [1.0, 1.0]


def test_settings_without_their_class_are_refused(file):
    with pytest.raises(
        ValueError, match="Untyped: its parameter settings must be annotated with a dataclass"
    ):
        _ = kind(f"{file}:Untyped").settings


def test_a_file_is_loaded_once_and_found_from_anywhere(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert kind("things.py:Thing").target is kind(f"{file}:Thing").target
    assert absolute("things.py:Thing") == f"{file}:Thing"
    assert absolute("lstm") == "lstm"
    assert absolute("package.module:Name") == "package.module:Name"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "--part.kind: no 'nothing'; choose , package.module:name or file.py:name"),
        (
            "no/such.py:Thing",
            "--part.kind: cannot import 'no/such.py:Thing': FileNotFoundError: there is no file",
        ),
        ("things.py:Missing", "--part.kind: cannot import 'things.py:Missing': AttributeError"),
        ("things.py:FILE", "--part.kind: cannot import"),
        ("math:pi", "--part.kind: 'math:pi' is no class or function"),
    ],
)
def test_what_cannot_be_found_is_one_line(file, monkeypatch, name, message):
    monkeypatch.chdir(file.parent)
    with pytest.raises(ValueError) as caught:
        kind(name)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_file_that_fails_while_it_is_imported_is_named_and_not_kept(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("raise RuntimeError('two\\nlines')\n")
    before = set(sys.modules)
    with pytest.raises(ValueError, match="RuntimeError: two lines"):
        kind(f"{path}:Thing")
    assert set(sys.modules) == before


def test_an_error_is_traced_to_the_file_of_a_kind_that_is_not_built_in(file):
    table = {"small": f"{file}:fail"}
    for name, place in (("small", None), (f"{file}:fail", f"{file}, line 32, in fail")):
        with pytest.raises(TypeError) as caught:
            find_kind(name, table, "--part.kind").target(None)
        assert foreign_place(caught.value) == foreign_place(caught.value, innermost=True) == place
    with pytest.raises(ValueError) as caught:
        int("five")
    assert foreign_place(caught.value) is None


def test_the_digest_of_a_source_changes_with_it(file, tmp_path):
    first = source_digest(f"{file}:Thing", {})
    other = tmp_path / "other.py"
    other.write_text(FILE + "\n# changed\n")
    assert first is not None
    assert source_digest(f"{other}:Thing", {}) not in (None, first)
    assert source_digest("small", {"small": f"{file}:Thing"}) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Unknown", "Unknown: its annotations cannot be read: name 'Nowhere' is not defined"),
        ("Unset", "Unset: its setting size has no default; every one needs one"),
    ],
)
def test_settings_that_no_flag_could_set_are_named(file, name, message):
    with pytest.raises(ValueError, match=message):
        _ = kind(f"{file}:{name}").settings


def test_what_cannot_be_called_to_an_end_is_named(file):
    with pytest.raises(ValueError, match="Half: lacks logits$"):
        kind(f"{file}:Half").build(KindSettings(), material())
    with pytest.raises(ValueError, match=":later is an async function; it must be a plain one$"):
        kind(f"{file}:later").build(KindSettings(), material())
