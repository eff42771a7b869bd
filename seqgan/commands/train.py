"""The commands that make a run: prepare, pretrain, train; and config, which shows its settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tqdm import tqdm

from seqgan.config.schema import WITHOUT_PREFIX, to_settings, to_toml
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.measurements import Measurement, measure
from seqgan.experiment.run_folder import RunFolder
from seqgan.experiment.settings import ExperimentSettings, Framework
from seqgan.reports.tables import SUMMARY, signatures, table

COMPARED = {"mle-best": "MLE", "adversarial-last": "adversarial", "oracle": "oracle"}
NUM_SENTENCES = 10


@dataclass(frozen=True, kw_only=True)
class ExperimentArguments:
    """Where an experiment lives and where its settings come from: preset, then file, then flags."""

    run: Path | None = None
    """Run folder; made if it is not there, gone on with if it is; by default it is named by the preset."""
    preset: str
    """Named settings to start from; `config --list` shows them."""
    config: Path | None = None
    """TOML file of settings over those of the preset."""
    pretrained: Path | None = None
    """Run folder whose pre-training a new run takes over; its settings up to that point must be the same."""
    data: Path = Path("data")
    """Folder whose subfolder `prepared` keeps prepared corpora."""
    quiet: bool = False
    """Show no progress bars and print no report."""
    settings: Annotated[ExperimentSettings, WITHOUT_PREFIX] = field(default_factory=ExperimentSettings)


@dataclass(frozen=True, kw_only=True)
class ConfigArguments(ExperimentArguments):
    """Print the settings that a run would have, as TOML."""

    list: bool = False
    """Print the names of the presets instead."""


def _run_folder(arguments: ExperimentArguments, framework: Framework) -> RunFolder:
    return RunFolder(arguments.run or framework.default_run(arguments.preset))


def _build(arguments: ExperimentArguments, cls: type[Experiment], run: RunFolder) -> Experiment:
    cache = arguments.data / "prepared"
    return cls(
        arguments.settings, run.path, cache=cache, pretrained=arguments.pretrained, quiet=arguments.quiet
    )


def prepare(arguments: ExperimentArguments, cls: type[Experiment]) -> None:
    """Prepare the corpus, start the run folder, and report what is in the corpus."""
    run = _run_folder(arguments, cls.framework)
    with run.lock():
        experiment = _build(arguments, cls, run)
    if arguments.quiet:
        return
    print(experiment.corpus.summary())
    for part in ("train", "validation", "test"):
        first = experiment.language.decode(experiment.corpus.sequences(part)[0].tolist())
        print(f"{part} begins with: {first}")
    print(f"{run.path}: is prepared; go on with: {cls.framework.name} train --run {run.path}")


def pretrain(arguments: ExperimentArguments, cls: type[Experiment]) -> None:
    """All phases but the last: the generator, and the discriminator against it."""
    run = _run_folder(arguments, cls.framework)
    with run.lock():
        experiment = _build(arguments, cls, run)
        experiment.pretrain()
    if not arguments.quiet:
        print(f"{run.path}: pre-training is done; go on with: {cls.framework.name} train --run {run.path}")


def train(arguments: ExperimentArguments, cls: type[Experiment]) -> None:
    """All phases, then the same evaluation of the generator before and after the adversarial one."""
    run = _run_folder(arguments, cls.framework)
    with run.lock():
        experiment = _build(arguments, cls, run)
        done = experiment.loop.done()
        experiment.train()
        results = compare(experiment, quiet=arguments.quiet)
    if arguments.quiet:
        return
    for name, measurement in results.items():
        if name != "oracle":
            print_sentences(f"{COMPARED[name]} ({name}):", measurement.sentences[:NUM_SENTENCES])
    titled = {COMPARED[name]: measurement.score for name, measurement in results.items()}
    print(f"\n{table(titled, SUMMARY)}\n\n{signatures(titled)}")
    print(f"{run.path}: all is done{' already' if done else ''}")
    print(f"watch: scripts/tensorboard.sh --logdir {run.path}")


def compare(experiment: Experiment, *, quiet: bool = False) -> dict[str, Measurement]:
    """What the generators before and after reach; what was measured of the same weights is read."""
    assert experiment.run is not None
    there = [name for name in COMPARED if experiment.run.generator(name).exists()]
    bar = tqdm(there, desc="evaluate", disable=quiet or None, leave=False)
    return {name: measure(experiment, name) for name in bar}


def print_sentences(title: str, sentences: Sequence[str]) -> None:
    """A title and sentences below it."""
    print(f"\n{title}")
    for sentence in sentences:
        print(f"  {sentence}")


def show_config(arguments: ConfigArguments, cls: type[Experiment]) -> None:
    """Print the resolved settings, or the names of the presets."""
    if arguments.list:
        print("\n".join(cls.framework.preset_names()))
    else:
        print(to_toml(to_settings(arguments.settings)), end="")
