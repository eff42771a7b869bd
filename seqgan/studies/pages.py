"""Write the generated pages of the documentation: ``python -m seqgan.studies.pages [FOLDER]``.

``settings.md`` lists every setting with its flag, meaning, values and default, ``metrics.md`` every metric.
Both come from the code alone.
"""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from seqgan.config.kinds import KindSettings, find_kind
from seqgan.config.ranges import Range
from seqgan.config.schema import describe_type, field_meanings, flag_name
from seqgan.evaluation.metric import Metric
from seqgan.evaluation.metrics import METRICS
from seqgan.experiment.catalogue import SEQGAN, Catalogue, find_catalogue
from seqgan.experiment.settings import ExperimentSettings

PACKAGES = ("seqgan", "leakgan")
GENERATED = "<!-- Generated: python -m seqgan.studies.pages -->"
SETTINGS_INTRODUCTION = """\
Every setting is a flag of `train`, `pretrain` and `prepare`, and a line of TOML: `--mle.epochs 5` is
`epochs = 5` in the section `[mle]`. Values come from a preset, then from your file (`--config`), then from
flags. The defaults below are those of the code; a preset may have others, which
`python -m seqgan config --preset NAME` prints. A truth value has a flag for each side, such as
`--algorithm.whiten` and `--algorithm.no-whiten`."""
METRICS_INTRODUCTION = """\
Names are those of `metrics.jsonl`, of TensorBoard and, without the part before the stroke, of
`evaluate --json`. Where one side is better, the last words say which."""
Row = tuple[str, ...]


def settings_page() -> str:
    """Return the page of all presets and settings, as Markdown."""
    catalogues = [find_catalogue(name) for name in PACKAGES]
    parts = [GENERATED, "# Settings", SETTINGS_INTRODUCTION, "## Presets", *map(presets_table, catalogues)]
    meanings = field_meanings(ExperimentSettings)
    hints = get_type_hints(ExperimentSettings, include_extras=True)
    several = {name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Mapping}
    plain = [
        name
        for name, hint in hints.items()
        if not dataclasses.is_dataclass(_type_of(hint)) and name not in several
    ]
    parts += ["## General", settings_table(setting_rows(ExperimentSettings, only=plain))]
    for section, hint in hints.items():
        if section in plain:
            continue
        parts += [f"## {section}", meanings.get(section, "")]
        if section in several:
            parts.append(settings_table(setting_rows(several[section], f"{section}.NAME.")))
            continue
        if section not in SEQGAN.kinds:
            parts.append(settings_table(setting_rows(_type_of(hint), f"{section}.")))
            continue
        for kind, settings in kinds_of(section, catalogues).items():
            parts += [f"### {section}: {kind}", _first_line(settings)]
            parts.append(settings_table(setting_rows(settings, f"{section}.")))
    return "\n\n".join(filter(None, parts)) + "\n"


def kinds_of(section: str, catalogues: Sequence[Catalogue]) -> dict[str, type[KindSettings]]:
    """Return the settings of every kind that a section may be, in any of the catalogues, by its name."""
    return {
        kind: find_kind(kind, catalogue.kinds[section], flag_name(section)).settings
        for catalogue in catalogues
        for kind in catalogue.kinds[section]
    }


def setting_rows(cls: type, path: str = "", only: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield flag, meaning, values and default of every setting of a class and of the sections in it."""
    hints, meanings = get_type_hints(cls, include_extras=True), field_meanings(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if field.name == "kind" or (only is not None and field.name not in only):
            continue
        if dataclasses.is_dataclass(_type_of(hint)):
            yield from setting_rows(_type_of(hint), f"{path}{field.name}.")
            continue
        flag = f"`{flag_name(path + field.name)}`"
        yield flag, meanings.get(field.name, ""), describe_values(hint), describe_default(field.default)


def describe_values(hint: Any) -> str:
    """Return in words which values a setting may have."""
    ranges = [str(item) for item in getattr(hint, "__metadata__", ()) if isinstance(item, Range)]
    return ", ".join([describe_type(hint), *ranges])


def describe_default(value: Any) -> str:
    """Return a default as it is written in TOML."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_table(rows: Iterator[Row]) -> str:
    """Return a table of settings; a sentence where there are none."""
    found = list(rows)
    return markdown_table(("flag", "meaning", "values", "default"), found) if found else "No settings."


def presets_table(catalogue: Catalogue) -> str:
    """Return a table of the presets of a package."""
    rows = [(f"`{name}`", meaning) for name, meaning in catalogue.preset_meanings().items()]
    return markdown_table((f"preset of `{catalogue.name}`", "what it is for"), rows)


def metrics_page(metrics: Mapping[str, Metric]) -> str:
    """Return the page of all metrics, as Markdown."""
    parts = [GENERATED, "# Metrics", METRICS_INTRODUCTION]
    for group in dict.fromkeys(name.partition("/")[0] for name in metrics):
        chosen = {name: metric for name, metric in metrics.items() if name.startswith(f"{group}/")}
        rows = [(f"`{name}`", metric.label, metric.side) for name, metric in chosen.items()]
        parts += [f"## {group}", markdown_table(("metric", "meaning", "side"), rows)]
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Row, rows: Sequence[Row]) -> str:
    """Return a table in Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")


def _type_of(hint: Any) -> Any:
    return getattr(hint, "__origin__", hint)


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").partition("\n")[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages into a folder, by default ``docs``; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0] if given else "docs")
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "metrics.md").write_text(metrics_page(METRICS), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
