"""The beginning of a report: what adversarial training changed, in sentences and one picture."""

from collections.abc import Iterator, Sequence

from seqgan.evaluation.metrics import EVALUATION
from seqgan.reports.blocks import Block, Figures, Paragraph
from seqgan.reports.findings import Comparison, Difference, Findings, SeedGroup
from seqgan.reports.report_tables import number
from seqgan.reports.tables import SUMMARY

MOST_COMPARISONS, MOST_METRICS = 4, 3
JUDGES = ("nll_test", "jeffreys", "bleu_f1_5", "ms_jaccard_4")  # none of them can be bought
ONE_DRAW = (
    "Behind ± stands the standard deviation over training seeds on one draw of data: another corpus may say "
    "something else."
)
OVER_SENTENCES = (
    "Verdicts rest on 95 % intervals over sentences: another seed of the training may turn them around."
)


def overview(findings: Findings, picture: Figures | None) -> Iterator[Block]:
    """Build the first section: a sentence for each group of seeds or run, and the picture."""
    for group in findings.seeds:
        yield from map(Paragraph, _seeds_in_words(group))
    own = [comparison for comparison in findings.comparisons if comparison.of_one_run]
    for comparison in own[:MOST_COMPARISONS]:
        yield Paragraph(_comparison_in_words(comparison))
    if len(own) > MOST_COMPARISONS:
        yield Paragraph(f"{len(own) - MOST_COMPARISONS} more runs stand in the tables below.")
    if own:
        yield Paragraph(OVER_SENTENCES)
    if not own:
        yield Paragraph(_values_in_words(findings))
    yield from map(Paragraph, _baseline_in_words(findings))
    if picture is not None:
        yield picture


def _seeds_in_words(group: SeedGroup) -> Iterator[str]:
    """Say how metrics move from the MLE model to the adversarial one, over seeds."""
    before, after = (group.spreads.get(name) for name in ("MLE", "adversarial"))
    if before is None or after is None:
        return
    moves = [
        f"{EVALUATION[name].meaning} from {number(name, before[name].mean)} ± "
        f"{number(name, before[name].deviation)} to {number(name, after[name].mean)} ± "
        f"{number(name, after[name].deviation)}"
        for name in SUMMARY
        if name in before and name in after
    ]
    runs = f"{', '.join(group.labels)} ({len(group.labels)} seeds)"
    yield f"{runs}: adversarial training moved {_listed(moves[:MOST_METRICS])}. {ONE_DRAW}"


def _comparison_in_words(comparison: Comparison) -> str:
    """Say in which metrics the generators are told apart, and whether one side paid for the other."""
    start = f"{comparison.first}, against the {comparison.second} model of the same run:"
    compared = [d for d in comparison.differences if d.interval is not None]
    if not compared:
        return f"{start} measured in different circumstances, so nothing is compared."
    sides = {verdict: [d for d in compared if d.verdict == verdict] for verdict in ("better", "worse")}
    told = [
        f"{verdict} in {_listed([_values(d) for d in found[:MOST_METRICS]])}"
        + (f" and {len(found) - MOST_METRICS} more" if len(found) > MOST_METRICS else "")
        for verdict, found in sides.items()
        if found
    ]
    alike = sum(not d.verdict for d in compared)
    if not told:
        return f"{start} no difference; every interval holds 0 or neither direction is better."
    rest = f"; in {alike} of {len(compared)} metrics they are not told apart" if alike else ""
    return f"{start} {'; '.join(told)}{rest}.{_trade(sides['better'], sides['worse'])}"


def _trade(better: Sequence[Difference], worse: Sequence[Difference]) -> str:
    gained, lost = ({d.metric.side for d in found} for found in (better, worse))
    for one, other in (("quality", "diversity"), ("diversity", "quality")):
        if one in gained and other in lost:
            return f" {one.capitalize()} was bought with {other}: judge by the metrics of both sides."
    return ""


def _values_in_words(findings: Findings) -> str:
    """Say what each column reaches, where nothing was trained any further."""
    parts = []
    for column in findings.columns:
        values = column.measurement.score.values
        found = [f"{EVALUATION[n].meaning} {number(n, values[n])}" for n in SUMMARY if n in values]
        parts.append(f"{column.title} ({column.origin}) {_listed(found[:MOST_METRICS])}")
    return f"Nothing was trained beyond these generators, which reach: {'; '.join(parts)}."


def _baseline_in_words(findings: Findings) -> Iterator[str]:
    """Say where n-grams, which nobody had to train, are better than every generator of the runs."""
    trained = [column for column in findings.columns if column.origin != "baseline"]
    for ngrams in (column for column in findings.columns if column.measurement.generator == "ngram"):
        found = []
        for name in JUDGES:
            scores = [column.measurement.score.values for column in (*trained, ngrams)]
            if not trained or not all(name in values for values in scores):
                continue
            *others, own = (values[name] for values in scores)
            best = min(others) if EVALUATION[name].lower_is_better else max(others)
            if own != best and (own < best) == EVALUATION[name].lower_is_better:
                found.append(f"{EVALUATION[name].meaning} ({number(name, own)} against {number(name, best)})")
        if found:
            yield (
                f"{ngrams.title} of the training text, which need no training, are better than all of these "
                f"generators in {_listed(found)}: there is more to learn by likelihood first."
            )


def _values(difference: Difference) -> str:
    first, second = (number(difference.metric.name, value) for value in difference.values)
    return f"{difference.metric.meaning} ({first} against {second})"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
