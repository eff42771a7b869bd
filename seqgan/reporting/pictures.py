"""Quality against diversity, and every metric over temperature, as figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqgan.decoding import Decoding
from seqgan.metrics import METRICS
from seqgan.models.oracle import is_official
from seqgan.parts import Parts
from seqgan.reporting.figures import look, new_figure
from seqgan.reporting.measurements import Measurement
from seqgan.reporting.sweep import Curve

WIDTH_OF_INTERVAL = 1.96  # standard errors on either side of a value: 95 % of a normal distribution

# The lowest NLL-oracle known at a held-out NLL-test, on the official oracle with 10,000 training sequences
# of 20 tokens: from temperature sweeps of published models, measured anew.
KNOWN: Mapping[str, Sequence[tuple[float, float]]] = {
    "published MLE": [(7.7, 9.00), (7.8, 8.67), (8.0, 8.15), (8.5, 7.06)],
    "CoT": [(7.7, 8.69), (7.8, 8.33), (8.0, 7.83), (8.5, 6.93)],
    "best published RL-GAN": [(7.8, 9.04), (8.0, 8.50), (8.5, 7.46)],
    "MLE with a Gaussian prior": [
        (7.5, 9.28),
        (7.6, 8.58),
        (7.7, 8.22),
        (7.8, 7.92),
        (8.0, 7.49),
        (8.5, 6.80),
    ],
}
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
    """A figure, with a name for files and words for people."""

    name: str
    title: str
    caption: str
    figure: Any


@dataclass(frozen=True)
class Plane:
    """Which metric is drawn over which, and how."""

    name: str
    title: str
    caption: str
    x: str
    y: str
    scale: str = "linear"


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
        "log",
    ),
)
BARS = "Bars are 95 % intervals over sentences; the ringed point is temperature 1."


def known_envelopes(experiment: Parts) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Curves from publications, where they belong to the experiment's corpus."""
    oracle, corpus = experiment.oracle, experiment.corpus
    fits = oracle is not None and is_official(oracle) and corpus.max_length == 20
    return KNOWN if fits and len(corpus.train) == 10_000 else {}


def draw_pictures(
    curves: Sequence[Curve],
    known: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    metrics: Sequence[str] = OVER_TEMPERATURE,
) -> list[Picture]:
    """The planes that were measured, and the ``metrics`` over what was varied.

    Raises:
        ValueError: matplotlib is not installed, or there is no such metric.
    """
    check_metrics(metrics)
    planes = [
        draw_plane(plane, curves, (known or {}) if plane.name == "likelihood" else {})
        for plane in PLANES
        if any(_measured(curve, plane.x, plane.y) for curve in curves)
    ]
    knobs = dict.fromkeys(curve.knob for curve in curves if len(curve.measurements) > 1)
    return planes + [draw_metrics(knob, curves, metrics) for knob in knobs]


def check_metrics(names: Sequence[str]) -> None:
    """Refuse names of metrics that there are not.

    Raises:
        ValueError: There is no metric of that name.
    """
    for name in names:
        if f"evaluation/{name}" not in METRICS:
            raise ValueError(
                f"--metrics: no metric {name!r}; seqgan/metrics.py lists them as evaluation/NAME"
            )


def draw_plane(
    plane: Plane, curves: Sequence[Curve], known: Mapping[str, Sequence[tuple[float, float]]]
) -> Picture:
    """One metric over another, a curve for each generator; a curve of one point is a star."""
    figure, axes = new_figure(6.6, 4.6)
    for (label, corners), dashes in zip(known.items(), DASHES, strict=False):
        axes.plot(*zip(*corners, strict=True), color="#999999", linestyle=dashes, linewidth=1, label=label)
    for number, curve in enumerate(curves):
        found = _measured(curve, plane.x, plane.y)
        if not found:
            continue
        style = look(number) if len(curve.measurements) > 1 else {"color": "black", "marker": "*", "ls": ""}
        (x, x_error), (y, y_error) = (_values(found, name) for name in (plane.x, plane.y))
        axes.errorbar(x, y, xerr=x_error, yerr=y_error, label=curve.label, elinewidth=0.8, **style)
        ringed = [i for i, m in enumerate(found) if m.decoding == Decoding()]
        axes.plot(
            [x[i] for i in ringed], [y[i] for i in ringed], "o", ms=9, fillstyle="none", color=style["color"]
        )
    axes.set(xlabel=_label(plane.x), ylabel=_label(plane.y), xscale=plane.scale, yscale=plane.scale)
    axes.legend(loc="best")
    return Picture(plane.name, plane.title, f"{plane.caption} {BARS}", figure)


def draw_metrics(knob: str, curves: Sequence[Curve], names: Sequence[str]) -> Picture:
    """Small figures, a metric each, over temperature, top-k or top-p; a single point is a line across."""
    turned: list[tuple[Any, Curve]] = [
        (look(i), c) for i, c in enumerate(curves) if c.knob == knob and len(c.measurements) > 1
    ]
    fixed = [curve for curve in curves if len(curve.measurements) == 1]
    names = [n for n in names if any(n in m.score.values for _, c in turned for m in c.measurements)]
    rows = math.ceil(len(names) / 4)
    figure, grid = new_figure(10.5, 2.3 * rows + 0.5, rows, 4)
    for axes, name in zip(grid.flat, names, strict=False):
        for style, curve in turned:
            found = _measured(curve, name)
            places = [getattr(m.decoding, knob) for m in found]
            values, errors = _values(found, name)
            axes.errorbar(places, values, yerr=errors, label=curve.label, elinewidth=0.8, **style)
        for curve in fixed:
            if name in curve.measurements[0].score.values:
                value = curve.measurements[0].score.values[name]
                axes.axhline(value, color="black", linestyle=":", linewidth=1, label=curve.label)
        axes.set_title(_label(name), fontsize=8)
        axes.tick_params(labelsize=7)
        if "perplexity" in name:
            axes.set_yscale("log")
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    handles: dict[str, Any] = {}
    for axes in grid.flat[: len(names)]:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    word = knob.replace("_", "-")
    caption = f"What {word} changes. Bars are 95 % intervals over sentences where the metric is a mean."
    return Picture(knob, f"Metrics over {word}", caption, figure)


def _measured(curve: Curve, *names: str) -> list[Measurement]:
    """Those of a curve in which all the metrics were measured."""
    return [m for m in curve.measurements if m.score.values.keys() >= set(names)]


def _values(measurements: Sequence[Measurement], name: str) -> tuple[list[float], list[float]]:
    """Values, and half the width of their intervals: 0 where nothing is known of it."""
    scores = [measurement.score for measurement in measurements]
    errors = [WIDTH_OF_INTERVAL * score.standard_errors.get(name, 0.0) for score in scores]
    return [score.values[name] for score in scores], errors


def _label(name: str) -> str:
    return METRICS[f"evaluation/{name}"]
