"""A run folder: settings, corpus, checkpoints, metrics and events of one experiment.

::

    config.toml      the resolved settings, with the format of the folder and the package that made it
    corpus/          the prepared corpus and its vocabulary, and the oracle that drew it
    checkpoints/     state.pt to resume from; pretrained.pt, from which other runs may start;
                     PHASE-best.pt and PHASE-last.pt, generators only
    evaluation/      scores and sentences of generators after training, one JSON file each; and beside
                     it the scores of single sentences
    metrics.jsonl    one row per logged step
    tensorboard/     the same as events
"""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from seqgan.config.toml import Settings, read_toml, to_toml
from seqgan.runtime import checkpoint
from seqgan.runtime.checkpoint import FORMAT
from seqgan.runtime.files import check_new_folder, recover, remove_partial_files, write_atomically

END = "# end of settings\n"  # half a TOML file is often a whole one, with other meaning
REAL_TEXT = "training-text"  # what real text reaches in the place of samples
OF_THE_CORPUS = {"oracle": "oracle.pt", "ngram": "corpus.json", REAL_TEXT: "corpus.json"}
GENERATORS = ("mle-best", "mle-last", "adversarial-best", "adversarial-last", "oracle")


@dataclass(frozen=True)
class RunFolder:
    """Where everything of a run lies."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved settings."""
        return self.path / "config.toml"

    @property
    def corpus(self) -> Path:
        """The folder of the prepared corpus."""
        return self.path / "corpus"

    @property
    def state(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / "checkpoints" / "state.pt"

    def generator(self, name: str) -> Path:
        """Return the checkpoint of one generator, or what it follows from in the corpus."""
        if name in OF_THE_CORPUS:
            return self.corpus / OF_THE_CORPUS[name]
        return self.path / "checkpoints" / f"{name}.pt"

    def evaluation(self, name: str) -> Path:
        """Return the file of one generator's scores, sampled in one way."""
        return self.path / "evaluation" / f"{name}.json"

    def find_generators(self) -> list[str]:
        """Return the names of the generators that exist."""
        return [name for name in GENERATORS if self.generator(name).exists()]

    def exists(self) -> bool:
        """Return whether the folder holds a run's settings."""
        return self.config.exists()

    def read_package(self) -> str:
        """Return the package that made the run.

        Raises:
            ValueError: There is no such run, it is damaged, or another version made it; names the file.
        """
        return str(self._read()["package"])

    def read_settings(self, package: str | None = None) -> Settings:
        """Return the settings of a run, which ``package`` must have made if it is given.

        Raises:
            ValueError: As of :meth:`read_package`, or another package made it.
        """
        settings = self._read()
        found = settings.pop("package")
        del settings["format"]
        if package not in (None, found):
            raise ValueError(
                f"--run: {self.path} is a run of {found}, not of {package}; "
                f"go on with: {found} train --run {self.path}"
            )
        return settings

    def _read(self) -> Settings:
        if not self.exists():
            raise ValueError(f"--run: {self.path} is no run folder (it has no config.toml)")
        content = read_toml(self.config)
        found = content.get("format")
        if found != FORMAT:
            raise ValueError(f"{self.config}: run of format {found}; this version reads format {FORMAT}")
        if not self.config.read_text(encoding="utf-8").endswith(END):
            raise ValueError(f"{self.config}: is damaged: its end is missing")
        if not isinstance(content.get("package"), str):
            raise ValueError(f"{self.config}: is damaged: it names no package")
        return content

    def write_settings(self, package: str, settings: Settings) -> None:
        """Write the resolved settings, which make the folder a run."""
        text = to_toml({"format": FORMAT, "package": package, **settings}) + END
        write_atomically(self.config, lambda file: file.write(text.encode()))

    def adopt(self, other: "RunFolder", corpus: str) -> None:
        """Copy what ``other`` has pre-trained on the corpus of that digest: checkpoint, generators, metrics.

        Raises:
            ValueError: It has not finished its pre-training, its checkpoint is damaged, or its corpus
                is another.
        """
        checkpoints = other.state.parent
        pretrained = checkpoints / "pretrained.pt"
        if not pretrained.exists():
            raise ValueError(f"--pretrained: {other.path} has not finished its pre-training")
        checkpoint.load(pretrained, corpus=corpus)
        self.state.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pretrained, self.state)
        for path in (pretrained, *checkpoints.glob("mle-*.pt")):
            shutil.copy(path, self.state.parent)
        shutil.copy(other.path / "metrics.jsonl", self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from working on the same run.

        A folder that was made here and in which no run was started is removed again.

        Raises:
            ValueError: Another process holds the run, or the folder cannot be made or written.
        """
        if not self.exists():
            check_new_folder(self.path, "--run")
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        lock = self.path / ".lock"
        try:  # a signal may come at any moment from here on
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                file = lock.open("w")
            except OSError as error:
                raise ValueError(f"--run: {self.path} cannot be written: {error.strerror}") from error
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    made = []  # the other process was quicker: what is there is its own
                    raise ValueError(f"--run: another process is working on {self.path}") from error
                try:
                    recover(self.path)  # after a process that was killed while writing
                    remove_partial_files(self.state.parent)
                    yield
                finally:
                    lock.unlink(missing_ok=True)
        finally:
            if made and not self.exists():
                _remove(made)


def _remove(folders: Sequence[Path]) -> None:
    """Remove the first folder with all that is in it, and those above it as far as they are empty."""
    shutil.rmtree(folders[0], ignore_errors=True)
    with suppress(OSError):
        for folder in folders[1:]:
            folder.rmdir()
