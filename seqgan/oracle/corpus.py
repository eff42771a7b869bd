"""The corpus of the oracle task: sequences drawn from a known LSTM (Yu et al. 2017, section 4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.lstm import LSTMGenerator
from seqgan.oracle.model import load_oracle, random_oracle
from seqgan.runtime.seeding import make_rng
from seqgan.sampling.sample import sample
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class OracleCorpusSettings(KindSettings):
    """Sequences of fixed length drawn from an oracle LSTM."""

    kind: str = "oracle"
    path: Path | None = None
    """Oracle parameters (.npz, see data/README.md); without a file they are drawn from N(0, 1)."""
    oracle_seed: int = 0
    """Seed of the oracle's parameters where no file gives them."""
    draw_seed: int = 0
    """Seed of the sequences; not the seed of the run, so that runs share their data."""
    vocabulary_size: Annotated[int, Range(minimum=2)] = 5000
    """Tokens of an oracle without a file; the first is the start token."""
    max_length: Annotated[int, Range(minimum=2)] = 20
    """Tokens of every sequence."""
    num_train: Annotated[int, Range(minimum=2)] = 10_000
    """Training sequences."""
    num_validation: Annotated[int, Range(minimum=2)] = 2_000
    """Validation sequences."""
    num_test: Annotated[int, Range(minimum=2)] = 10_000
    """Test sequences."""


def build_oracle(settings: OracleCorpusSettings) -> LSTMGenerator:
    """Build the oracle that the settings describe.

    Raises:
        ValueError: Its file cannot be used; names it.
    """
    if settings.path is not None:
        return load_oracle(settings.path)
    rng = make_rng("cpu", settings.oracle_seed, "oracle")
    return random_oracle(rng, vocabulary_size=settings.vocabulary_size)


def draw_oracle_corpus(settings: OracleCorpusSettings) -> PreparedCorpus:
    """Draw training, validation and test sequences, always on the CPU and so the same everywhere."""
    oracle = build_oracle(settings)
    sizes = {"train": settings.num_train, "validation": settings.num_validation, "test": settings.num_test}
    parts = {
        part: sample(
            oracle,
            size,
            settings.max_length,
            eos_id=None,
            rng=make_rng("cpu", settings.draw_seed, "oracle corpus", part),
        ).tokens.numpy()
        for part, size in sizes.items()
    }
    return PreparedCorpus.from_ids(**parts, vocabulary=Vocabulary.integers(oracle.vocabulary_size))
