"""Learning curves: a small figure for each metric that runs have logged, and for each phase."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqgan.reports.blocks import Figure
from seqgan.reports.figures import look, new_figure, style, to_svg
from seqgan.reports.findings import History

ADVERSARIAL = "adversarial"
MOST_POINTS = 40  # of a line that is drawn as it is


@dataclass(frozen=True)
class Panel:
    """Metrics over the steps of a phase; the first is drawn solid, the second dashed."""

    title: str
    metrics: Mapping[str, str]
    """Names in metrics.jsonl, and their short titles."""
    unit: str = ""
    caption: str = ""


NLL = "evaluation/nll_validation"
LIKELIHOOD = Panel(
    "NLL-validation",
    {NLL: "NLL-validation"},
    "nats per token",
    "On held-out text, lower is better. The adversarial phase starts at step 0 from the MLE model.",
)
AUC = Panel(
    "AUC of the discriminator",
    {"discriminator/auc_held_out": "held-out text", "discriminator/auc_train": "training text"},
    caption="Real text against fresh samples; 0.5 is guessing. Only what it knows of held-out text is "
    "worth a reward.",
)
PANELS = {
    "before the adversarial phase": (LIKELIHOOD, AUC),
    "adversarial phase": (
        LIKELIHOOD,
        Panel(
            "Jeffreys divergence",
            {"evaluation/jeffreys": "Jeffreys"},
            "nats per token",
            "Between generator and oracle, both ways; lower is better.",
        ),
        Panel(
            "BLEU-4 and self-BLEU-4",
            {"evaluation/bleu_4": "BLEU-4", "evaluation/self_bleu_4": "self-BLEU-4"},
            caption="Against validation text, and of the samples among themselves: both rise when "
            "diversity is lost.",
        ),
        AUC,
        Panel(
            "Entropy of the policy",
            {"policy/entropy": "entropy"},
            "nats per token",
            "Of what it samples; a fall to half rings an alarm. Rows are pale where they are many.",
        ),
        Panel(
            "Mean reward",
            {"evaluation/reward": "reward"},
            caption="Of fresh samples; only runs of one reward are on one scale.",
        ),
    ),
}


def draw_learning_curves(histories: Mapping[str, History]) -> dict[str, list[Figure]]:
    """Draw for each phase the panels of which any run has logged something.

    Raises:
        ValueError: matplotlib is not installed.
    """
    with style():
        drawn = {phase: [_draw(p, phase, histories) for p in panels] for phase, panels in PANELS.items()}
    return {phase: [figure for figure in figures if figure] for phase, figures in drawn.items()}


def points(history: History, metric: str, *, adversarial: bool) -> list[tuple[int, float]]:
    """Return steps and values of a metric, in the adversarial phase or before it.

    Steps count from the phase's first; before the adversarial one, from the first of all. At step 0 of the
    adversarial phase stands what was measured of the model that it started from.
    """
    parts: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    first, phase, last = 0, "", 0  # steps of the phases before the row's
    for row in history.rows:
        if row["phase"] != phase:
            first, phase = first + last, row["phase"]
        last = row["step"]
        if row.get(metric) is not None:
            now = row["phase"] == ADVERSARIAL
            parts[now].append((last if now else first + last, row[metric]))
    return parts[adversarial]


def _draw(panel: Panel, phase: str, histories: Mapping[str, History]) -> Figure | None:
    adversarial = phase.startswith(ADVERSARIAL)
    curves = {
        (label, metric): points(history, metric, adversarial=adversarial)
        for label, history in histories.items()
        for metric in panel.metrics
    }
    if not any(curves.values()):
        return None
    figure, axes = new_figure(4.0, 3.0)
    colors = {label: look(number)["color"] for number, label in enumerate(histories)}
    lines = dict(zip(panel.metrics, ("-", "--"), strict=False))
    for (label, metric), found in curves.items():
        if found:
            _plot(axes, found, colors[label], lines[metric])
    drawn = {label: colors[label] for label, metric in curves if curves[label, metric]}
    if len(histories) > 1:
        _explain(axes, {label: {"color": color} for label, color in drawn.items()})
    if len(panel.metrics) > 1:
        grey = {"color": "#555555"} if len(histories) > 1 else {"color": next(iter(drawn.values()))}
        _explain(axes, {title: {**grey, "ls": lines[metric]} for metric, title in panel.metrics.items()})
    if labels := axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=_num_columns(labels))
    axes.set(xlabel=f"steps, {phase}", ylabel=panel.unit)
    axes.set_title(panel.title)
    return Figure(
        f"{panel.title}, {phase}", panel.caption, to_svg(figure, transparent=True), _describe(panel, curves)
    )


def _plot(axes: Any, found: Sequence[tuple[int, float]], color: str, line: str) -> None:
    """Draw a line; of many points the means of neighbouring ones, before the points themselves, pale."""
    if len(found) <= MOST_POINTS:
        axes.plot(*zip(*found, strict=True), color=color, ls=line, marker=".")
        return
    means = [group.mean(0) for group in np.array_split(np.array(found, float), MOST_POINTS)]
    axes.plot(*zip(*found, strict=True), color=color, alpha=0.25, lw=0.5)
    axes.plot(*zip(*means, strict=True), color=color, ls=line)


def _num_columns(labels: Sequence[str]) -> int:
    """Return how many columns of a legend fit below a panel, about equally full."""
    fitting = max(1, min(4, 62 // (max(map(len, labels)) + 6)))
    rows = math.ceil(len(labels) / fitting)
    return math.ceil(len(labels) / rows)


def _explain(axes: Any, styles: Mapping[str, Mapping[str, str]]) -> None:
    """Add entries to the legend."""
    for label, line in styles.items():
        axes.plot([], [], label=label, **line)


def _describe(panel: Panel, curves: Mapping[tuple[str, str], Sequence[tuple[int, float]]]) -> str:
    """Return first and last values in words."""
    parts = [
        f"{label}, {panel.metrics[metric]}: {found[0][1]:.4f} to {found[-1][1]:.4f}"
        for (label, metric), found in curves.items()
        if found
    ]
    return "; ".join(parts)
