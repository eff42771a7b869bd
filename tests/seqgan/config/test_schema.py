import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.config.schema import (
    UnknownSettings,
    describe_type,
    field_meanings,
    from_settings,
    parse_text,
    to_settings,
    validate,
    with_fields_of,
)
from seqgan.config.toml import flatten, merge, nest, read_toml, to_toml


@dataclass(frozen=True, kw_only=True)
class SmallSettings(KindSettings):
    size: Annotated[int, Range(minimum=1, maximum=9)] = 3
    sizes: Annotated[tuple[int, ...], Range(minimum=1)] = (1, 2)
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class LargeSettings(KindSettings):
    rate: Annotated[float, Range(minimum=0, open=True)] = 0.5
    name: str = 'a "quoted" \\ name'


@dataclass(frozen=True, kw_only=True)
class Tree:
    part: KindSettings = field(default_factory=lambda: SmallSettings(kind="small"))
    limit: Annotated[float | None, Range(minimum=0)] = None
    mode: Literal["a", "b"] = "a"
    on: bool = True


@dataclass(frozen=True, kw_only=True)
class Part(KindSettings):
    weight: Annotated[float, Range(minimum=0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class Several:
    parts: Mapping[str, Part] = field(default_factory=dict)


class Plain:
    """A kind without settings."""


class Weighted:
    def __init__(self, settings: Part) -> None:
        self.settings = settings


class Small:
    def __init__(self, settings: SmallSettings) -> None:
        self.settings = settings


class Large:
    def __init__(self, settings: LargeSettings) -> None:
        self.settings = settings


HERE = "tests.seqgan.config.test_schema"
TABLES = {"part": {"small": f"{HERE}:Small", "large": f"{HERE}:Large"}}
NOT_CALLABLE = 3
PARTS = {"parts": {**TABLES["part"], "plain": f"{HERE}:Plain"}}


def build(*layers, **options):
    return from_settings(Tree, merge(*layers), TABLES, "here", **options)


def small(**values):
    return SmallSettings(kind="small", **values)


def large(**values):
    return LargeSettings(kind="large", **values)


def test_settings_survive_toml(tmp_path):
    for config in (
        Tree(),
        Tree(part=large(rate=1e-5), limit=2.0, mode="b", on=False),
        Tree(part=small(path=Path("x\x7fy"))),
    ):
        path = tmp_path / "config.toml"
        path.write_text(to_toml(to_settings(config)), encoding="utf-8")
        assert build(read_toml(path)) == config


def test_later_layers_win_and_a_change_of_kind_drops_the_old_section():
    assert build({"part": {"size": 4}}, {"part": {"sizes": [7]}}) == Tree(part=small(size=4, sizes=(7,)))
    assert build({"part": {"kind": "small", "size": 4}}, {"part": {"kind": "large"}}) == Tree(part=large())
    assert build({"limit": 1}, {"limit": 2}).limit == 2.0


def test_a_kind_may_be_an_import_path():
    settings = build({"part": {"kind": f"{HERE}:Large", "rate": 2.0}})
    assert settings.part == LargeSettings(kind=f"{HERE}:Large", rate=2.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limits": 1}, r"here: unknown setting limits; did you mean limit\?"),
        ({"part": {"zzz": 1}}, "here: unknown setting part.zzz; there are kind, path, size, sizes"),
        ({"part": {"size": "4"}}, "here: part.size must be a whole number, not '4'"),
        ({"part": {"size": True}}, "here: part.size must be a whole number, not True"),
        ({"part": 3}, "here: part is a section, not 3"),
        ({"part": {"kind": "huge"}}, "--part.kind: no 'huge'; choose large, small"),
        ({"part": {"kind": "no.such:thing"}}, "--part.kind: cannot import"),
        ({"part": {"kind": f"{HERE}:NOT_CALLABLE"}}, "--part.kind: .* is no class or function"),
        ({"mode": "c"}, "here: mode must be one of a, b, not 'c'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        build(settings)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Tree(part=small(size=0)), r"--part.size: 0 is out of range; it must be at least 1 and at most 9"),
        (Tree(part=small(sizes=(1, 0))), "--part.sizes: 0 is out of range"),
        (Tree(part=large(rate=0.0)), "--part.rate: 0.0 is out of range; it must be more than 0"),
        (Tree(part=large(rate=float("nan"))), "--part.rate: nan is no finite number"),
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


def test_settings_nested_too_deeply_are_named(tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ValueError, match=str(path)):
        read_toml(path)


def test_nesting_undoes_flattening():
    nested = {"a": 1, "b": {"c": 2, "d": {"e": "x"}}}
    assert nest(flatten(nested)) == nested


def test_a_kind_that_cannot_be_imported_is_kept_as_it_is_read_where_that_is_allowed():
    section = {"kind": "gone.away:Thing", "depth": 3}
    with pytest.raises(ValueError, match="--part.kind: cannot import 'gone.away:Thing'"):
        build({"part": section})
    settings = build({"part": section}, lenient=True)
    assert isinstance(settings.part, UnknownSettings)
    assert to_settings(settings)["part"] == section
    validate(settings)
    with pytest.raises(ValueError, match="no 'huge'; choose"):  # a short name is a mistake, nobody's file
        build({"part": {"kind": "huge"}}, lenient=True)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3),
        ("3", float, 3.0),
        ("none", int | None, None),
        ("4", Annotated[int | None, Range(minimum=1)], 4),
        ("official", float | Literal["official"] | None, "official"),
        ("0.5", float | Literal["official"], 0.5),
        ("a", Literal["a", "b"], "a"),
        ("x/y", Path | None, Path("x/y")),
        ("7", tuple[int, ...], 7),
    ],
)
def test_the_text_of_a_flag_becomes_a_value(text, hint, value):
    assert parse_text(text, hint) == value
    assert type(parse_text(text, hint)) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "wanted"),
    [
        ("x", int, "a whole number"),
        ("1.5", int, "a whole number"),
        ("hot", float | Literal["official"], "a number or official"),
        ("c", Literal["a", "b"], "one of a, b"),
        ("x", float | None, "a number or none"),
    ],
)
def test_a_text_that_does_not_fit_is_answered_in_words(text, hint, wanted):
    with pytest.raises(ValueError, match=f"^'{text}' is not {wanted}$"):
        parse_text(text, hint)


def test_types_in_words():
    assert describe_type(tuple[int, ...]) == "a list, each a whole number"
    assert describe_type(Path) == "a path"


def test_the_string_below_a_field_is_its_meaning():
    @dataclass(frozen=True)
    class Base:
        size: int = 3
        """Numbers per
        vector."""
        plain: int = 1

    @dataclass(frozen=True)
    class Derived(Base):
        """Not a meaning."""

        rate: float = 0.5
        """Step size."""

    assert field_meanings(Derived) == {"size": "Numbers per vector.", "rate": "Step size."}


def build_several(*layers, **options):
    return from_settings(Several, merge(*layers), PARTS, "here", **options)


def test_a_mapping_holds_sections_each_with_the_fields_of_its_kind_and_of_a_part(tmp_path):
    found = build_several(
        {"parts": {"0": {"kind": "large", "rate": 2.0, "weight": 3}, "last": {"kind": "plain"}}},
        {"parts": {"0": {"weight": 4.0}, "more": {"kind": "small"}}},
    )
    first, last, more = (found.parts[name] for name in ("0", "last", "more"))
    assert isinstance(first, LargeSettings) and isinstance(first, Part) and isinstance(more, SmallSettings)
    assert (first.rate, first.weight, last.weight, more.size) == (2.0, 4.0, 1.0, 3)
    assert type(last) is Part and field_meanings(type(first)) == {"kind": field_meanings(Part)["kind"]}
    path = tmp_path / "several.toml"
    path.write_text(to_toml(to_settings(found)))
    assert build_several(read_toml(path)) == found
    array = build_several({"parts": [{"kind": "plain"}, {"kind": "plain", "weight": 2.0}]})
    assert {name: part.weight for name, part in array.parts.items()} == {"0": 1.0, "1": 2.0}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (3, "here: parts holds sections by name, not 3"),
        ({"0": 3}, "here: parts.0 is a section, not 3"),
        ({"0": {"weight": 2.0}}, "here: parts.0.kind must be a name, not None"),
        ({"0": {"kind": "huge"}}, "--parts.0.kind: no 'huge'; choose large, plain, small"),
        ({"0": {"kind": "plain", "size": 2}}, "here: unknown setting parts.0.size"),
        ({"a-b": {"kind": "plain"}}, "here: parts.a-b: names may have letters and digits only"),
        ({"0": {"kind": f"{HERE}:Weighted"}}, None),
    ],
)
def test_wrong_sections_of_a_mapping_are_named(parts, message):
    if message is None:  # its settings are those of a part
        assert type(build_several({"parts": parts}).parts["0"]) is Part
        return
    with pytest.raises(ValueError, match=message):
        build_several({"parts": parts})


def test_a_setting_that_a_part_has_already_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Own(KindSettings):
        weight: int = 3

    with pytest.raises(ValueError, match="--parts.0: the kind has a setting 'weight', which every part has"):
        with_fields_of(Part, Own, "--parts.0")


def test_ranges_hold_in_every_section_of_a_mapping():
    with pytest.raises(ValueError, match="--parts.b.weight: -1.0 is out of range"):
        validate(build_several({"parts": {"a": {"kind": "plain"}, "b": {"kind": "plain", "weight": -1.0}}}))


def test_a_part_that_cannot_be_imported_is_kept_as_it_is():
    parts = {"0": {"kind": "no.such:thing", "weight": 2.0}}
    found = build_several({"parts": parts}, lenient=True)
    assert isinstance(found.parts["0"], UnknownSettings) and to_settings(found) == {"parts": parts}
