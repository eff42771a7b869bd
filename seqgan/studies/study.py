"""Everything that a report shows of runs, measured."""

from collections.abc import Mapping, Sequence

from seqgan.experiment.experiment import Experiment
from seqgan.reports.findings import Findings
from seqgan.sampling.decoding import Decoding
from seqgan.studies.comparison import columns_of, compare_runs, measure_runs, seed_groups
from seqgan.studies.neighbours import sample_columns
from seqgan.studies.records import record_of
from seqgan.studies.runs import Runs
from seqgan.studies.sweep import known_envelopes, sweep
from seqgan.text.prepared import PARTS


def study_runs(
    runs: Runs,
    ways: Mapping[str, Sequence[Decoding]],
    *,
    checkpoints: Sequence[str] = (),
    num_sentences: int = 10,
    quiet: bool = False,
) -> Findings:
    """Measure what has not been measured of the runs' generators, and compare them.

    Args:
        runs: The runs.
        ways: Ways to sample for the curves, by the knob that they turn; without any there are no curves.
        checkpoints: The generators of each run, in the place of its MLE model and its furthest.
        num_sentences: Sentences of each generator that are shown beside their neighbours.
        quiet: Show no progress bars.

    Raises:
        ValueError: A run has no generator or not that checkpoint, or is damaged.
    """
    corpus = describe_corpus(runs.first)
    records = [record_of(label, folder) for label, folder in runs.folders.items()]
    measured = measure_runs(runs, checkpoints=checkpoints, quiet=quiet)
    columns = columns_of(measured)
    return Findings(
        corpus=corpus,
        runs=records,
        columns=columns,
        comparisons=compare_runs(measured, quiet=quiet),
        seeds=seed_groups(measured, runs.by_seed()),
        curves=sweep(runs, ways, checkpoints=checkpoints, quiet=quiet) if ways else [],
        known=known_envelopes(runs.first),
        samples=sample_columns(runs.first, columns, num_sentences) if num_sentences else [],
    )


def describe_corpus(experiment: Experiment) -> str:
    """Return kind and sizes of a corpus in words."""
    corpus = experiment.corpus
    train, validation, test = (len(corpus.sequences(part)) for part in PARTS)
    return (
        f"Corpus of kind {experiment.settings.corpus.kind}: {train:,} training, {validation:,} validation "
        f"and {test:,} test sequences of at most {corpus.max_length} tokens; vocabulary of "
        f"{corpus.vocabulary.size:,}."
    )
