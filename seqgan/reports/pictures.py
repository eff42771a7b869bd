"""Quality against diversity, and every metric over temperature, as figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from seqgan.evaluation.metrics import EVALUATION
from seqgan.experiment.measurements import Measurement
from seqgan.reports.figures import look, new_figure, set_log_scale, style
from seqgan.reports.findings import Curve
from seqgan.sampling.decoding import Decoding

Z_95 = 1.96  # standard errors on either side of a value: 95 % of a normal distribution

COLUMNS = 4
LINES = {"temperature": "-", "top_k": "--", "top_p": ":", None: ""}
DASHES: Sequence[Any] = (":", "-.", "--", (0, (1, 3)))
OVER_TEMPERATURE = (
    *(
        "nll_oracle",
        "nll_test",
        "jeffreys",
        "entropy",
        "bleu_5",
        "self_bleu_5",
        "backward_bleu_5",
        "bleu_f1_5",
    ),
    *("ms_jaccard_4", "ngram_js_3", "forward_perplexity", "reverse_perplexity", "distinct_2", "unique"),
    *("novelty", "mean_length"),
)


@dataclass(frozen=True)
class Picture:
    """A figure with a name for files, a title and a caption."""

    name: str
    title: str
    caption: str
    figure: Any


@dataclass(frozen=True)
class Plane:
    """A pair of metrics that are drawn over each other."""

    name: str
    title: str
    caption: str
    x: str
    y: str
    is_logarithmic: bool = False


PLANES = (
    Plane(
        "likelihood",
        "NLL-oracle over NLL-test",
        "Quality (NLL-oracle: samples under the oracle) against coverage (NLL-test: its text under the "
        "generator), in nats per token: the nearer to the oracle itself, at the lower left, the better.",
        "nll_test",
        "nll_oracle",
    ),
    Plane(
        "bleu",
        "BLEU-5 over self-BLEU-5",
        "Quality (BLEU-5 against the test text) over lack of diversity (self-BLEU-5): better is up and left.",
        "self_bleu_5",
        "bleu_5",
    ),
    Plane(
        "perplexity",
        "Forward over reverse perplexity",
        "Perplexity of samples under 5-grams of the test text (quality) over that of the test text under "
        "5-grams of the samples (diversity): better is down and left.",
        "reverse_perplexity",
        "forward_perplexity",
        is_logarithmic=True,
    ),
)
BARS = "Bars are 95 % intervals over sentences; the ringed point is temperature 1."


def draw_pictures(
    curves: Sequence[Curve],
    known: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    metrics: Sequence[str] = OVER_TEMPERATURE,
) -> list[Picture]:
    """Draw the planes that were measured, and the ``metrics`` over each knob that was turned.

    Raises:
        ValueError: matplotlib is not installed, or there is no such metric.
    """
    check_metrics(metrics)
    knobs = dict.fromkeys(curve.knob for curve in curves if curve.knob and len(curve.measurements) > 1)
    with style():
        planes = [
            draw_plane(plane, curves, (known or {}) if plane.name == "likelihood" else {})
            for plane in PLANES
            if any(_measured(curve, plane.x, plane.y) for curve in curves)
        ]
        return planes + [draw_metrics(knob, curves, metrics) for knob in knobs]


def check_metrics(names: Sequence[str]) -> None:
    """Refuse names of metrics that do not exist.

    Raises:
        ValueError: There is no metric of that name.
    """
    for name in names:
        if name not in EVALUATION:
            raise ValueError(f"--metrics: no metric {name!r}; choose from {', '.join(EVALUATION)}")


def draw_plane(
    plane: Plane, curves: Sequence[Curve], known: Mapping[str, Sequence[tuple[float, float]]]
) -> Picture:
    """Draw one metric over another: a colour for each generator, dashes for each knob, stars if fixed."""
    figure, axes = new_figure(6.6, 5.2)
    for (label, corners), dashes in zip(known.items(), cycle(DASHES), strict=False):
        axes.plot(*zip(*corners, strict=True), color="#999999", linestyle=dashes, linewidth=1, label=label)
    if plane.is_logarithmic:
        set_log_scale(axes, "x", "y")
    looks = _looks(curves)
    for curve in curves:
        found = _measured(curve, plane.x, plane.y)
        if not found:
            continue
        (x, x_error), (y, y_error) = (_values(found, name) for name in (plane.x, plane.y))
        label = f"{curve.label}, {_word(curve.knob)}" if curve.knob in ("top_k", "top_p") else curve.label
        axes.errorbar(x, y, xerr=x_error, yerr=y_error, label=label, elinewidth=0.8, **looks[curve.label])
        axes.lines[-1].set_linestyle(LINES[curve.knob])
        ringed = [i for i, m in enumerate(found) if m.decoding == Decoding() and curve.knob]
        ring = {"color": looks[curve.label]["color"], "fillstyle": "none", "markersize": 9}
        axes.plot([x[i] for i in ringed], [y[i] for i in ringed], "o", **ring)
    axes.set(xlabel=_label(plane.x), ylabel=_label(plane.y))
    figure.legend(loc="outside lower center", ncols=3)
    return Picture(plane.name, plane.title, f"{plane.caption} {BARS}", figure)


def draw_metrics(knob: str, curves: Sequence[Curve], names: Sequence[str]) -> Picture:
    """Draw small figures, a metric each, over temperature, top-k or top-p; what is fixed is a line across."""
    turned = [curve for curve in curves if curve.knob == knob]
    fixed = [curve for curve in curves if curve.knob is None]
    names = [name for name in names if any(_measured(curve, name) for curve in turned)]
    rows = math.ceil(len(names) / COLUMNS)
    figure, grid = new_figure(2.6 * COLUMNS, 2.3 * rows + 0.5, rows, COLUMNS)
    looks = _looks(curves)
    handles: dict[str, Any] = {}
    for axes, name in zip(grid.flat, names, strict=False):  # the grid may have more places than metrics
        set_log_scale(axes, *(["y"] if "perplexity" in name else []), *(["x"] if knob == "top_k" else []))
        for curve in turned:
            found = _measured(curve, name)
            places = [getattr(m.decoding, knob) for m in found]
            values, errors = _values(found, name)
            axes.errorbar(
                places, values, yerr=errors, label=curve.label, elinewidth=0.8, **looks[curve.label]
            )
        for curve, dashes in zip(fixed, cycle(DASHES), strict=False):
            for value in _values(_measured(curve, name), name)[0]:
                axes.axhline(value, color="black", linestyle=dashes, linewidth=1, label=curve.label)
        axes.set_title(_label(name), fontsize=8)
        axes.tick_params(labelsize=7, which="both")
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    caption = (
        f"Every metric over {_word(knob)}. Bars are 95 % intervals over sentences where the metric is a mean."
    )
    return Picture(knob, f"Metrics over {_word(knob)}", caption, figure)


def _looks(curves: Sequence[Curve]) -> dict[str, dict[str, str]]:
    """Return for each label a colour and marker of its own, and a black star for what is fixed."""
    varied = dict.fromkeys(curve.label for curve in curves if curve.knob)
    looks = {curve.label: {"color": "black", "marker": "*"} for curve in curves}
    return looks | {label: look(number) for number, label in enumerate(varied)}


def _word(knob: str | None) -> str:
    return (knob or "").replace("_", "-")


def _measured(curve: Curve, *names: str) -> list[Measurement]:
    """Return those of a curve in which all the metrics were measured."""
    return [m for m in curve.measurements if m.score.values.keys() >= set(names)]


def _values(measurements: Sequence[Measurement], name: str) -> tuple[list[float], list[float]]:
    """Return values, and half the width of their intervals: 0 where nothing is known of it."""
    scores = [measurement.score for measurement in measurements]
    errors = [Z_95 * score.standard_errors.get(name, 0.0) for score in scores]
    return [score.values[name] for score in scores], errors


def _label(name: str) -> str:
    return EVALUATION[name].label
