import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.config.schema import Component, find_component, from_settings, to_settings, validate
from seqgan.config.toml import flatten, merge, read_toml, to_toml


@dataclass(frozen=True, kw_only=True)
class Small(KindSettings):
    kind: str = "small"
    size: Annotated[int, Range(minimum=1, maximum=9)] = 3
    sizes: Annotated[tuple[int, ...], Range(minimum=1)] = (1, 2)
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Large(KindSettings):
    kind: str = "large"
    rate: Annotated[float, Range(minimum=0, open=True)] = 0.5
    name: str = 'a "quoted" \\ name'


@dataclass(frozen=True, kw_only=True)
class Tree:
    part: KindSettings = field(default_factory=Small)
    limit: Annotated[float | None, Range(minimum=0)] = None
    mode: Literal["a", "b"] = "a"
    on: bool = True


TABLES = {"part": {"small": Component(Small, Small), "large": Component(Large, Large)}}
CUSTOM = Component(Large, Large)


def build(*layers):
    return from_settings(Tree, merge(*layers), TABLES, "here")


def test_settings_survive_toml(tmp_path):
    for config in (
        Tree(),
        Tree(part=Large(rate=1e-5), limit=2.0, mode="b", on=False),
        Tree(part=Small(path=Path("x"))),
    ):
        path = tmp_path / "config.toml"
        path.write_text(to_toml(to_settings(config)), encoding="utf-8")
        assert build(read_toml(path)) == config


def test_later_layers_win_and_a_change_of_kind_drops_the_old_section():
    assert build({"part": {"size": 4}}, {"part": {"sizes": [7]}}) == Tree(part=Small(size=4, sizes=(7,)))
    assert build({"part": {"kind": "small", "size": 4}}, {"part": {"kind": "large"}}) == Tree(part=Large())
    assert build({"limit": 1}, {"limit": 2}).limit == 2.0


def test_a_kind_may_be_an_import_path():
    config = build({"part": {"kind": "tests.seqgan.config.test_config:CUSTOM", "rate": 2.0}})
    assert config.part == Large(kind="tests.seqgan.config.test_config:CUSTOM", rate=2.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limits": 1}, r"here: unknown setting limits; did you mean limit\?"),
        ({"part": {"zzz": 1}}, "here: unknown setting part.zzz; there are kind, path, size, sizes"),
        ({"part": {"size": "4"}}, "here: part.size must be int, not '4'"),
        ({"part": {"size": True}}, "here: part.size must be int, not True"),
        ({"part": 3}, "here: part is a section, not 3"),
        ({"part": {"kind": "huge"}}, "--part.kind: no 'huge'; choose large, small"),
        ({"part": {"kind": "no.such:thing"}}, "--part.kind: cannot import"),
        ({"part": {"kind": "os:path"}}, "--part.kind: 'os:path' is no seqgan.config.schema.Component"),
        ({"mode": "c"}, "here: mode must be one of 'a', 'b', not 'c'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        build(settings)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Tree(part=Small(size=0)), r"--part.size: 0 is out of range; it must be at least 1 and at most 9"),
        (Tree(part=Small(sizes=(1, 0))), "--part.sizes: 0 is out of range"),
        (Tree(part=Large(rate=0.0)), "--part.rate: 0.0 is out of range; it must be more than 0"),
        (Tree(part=Large(rate=float("nan"))), "--part.rate: nan is no finite number"),
        (Tree(limit=-1.0), "--limit: -1.0 is out of range"),
    ],
)
def test_ranges_are_kept(config, message):
    with pytest.raises(ValueError, match=message):
        validate(config)
    validate(Tree())


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Tree().mode = "b"  # type: ignore[misc]


def test_flat_names():
    assert flatten({"a": 1, "b": {"c": 2}}) == {"a": 1, "b.c": 2}


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "x.toml"
    for content in (b"a = ", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            read_toml(path)


def test_find_component_gives_the_built_in_one():
    assert find_component("small", TABLES["part"], "part.kind").config is Small
