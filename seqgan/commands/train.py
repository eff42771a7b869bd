"""The commands that make a run: prepare, pretrain, train; and config, which shows its settings."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from seqgan.commands.report import print_sentences, save_result, table
from seqgan.config import WITHOUT_PREFIX, to_settings, to_toml
from seqgan.experiment import Experiment, ExperimentConfig, preset_names
from seqgan.run_folder import RunFolder

COMPARED = {"mle-best": "MLE", "adversarial-last": "adversarial"}
NUM_SENTENCES = 10


@dataclass(frozen=True, kw_only=True)
class ExperimentArguments:
    """Where an experiment lives and where its settings come from: preset, then file, then flags."""

    run: Path | None = None
    """Run folder; made if it is not there, gone on with if it is. By default runs/PRESET."""
    preset: str = "docstrings"
    """Named settings to start from; `seqgan config --list` shows them."""
    config: Path | None = None
    """TOML file of settings over those of the preset."""
    data: Path = Path("data")
    """Folder whose subfolder `prepared` keeps prepared corpora."""
    quiet: bool = False
    """Print no progress bars and no report."""
    settings: Annotated[ExperimentConfig, WITHOUT_PREFIX] = field(default_factory=ExperimentConfig)


@dataclass(frozen=True, kw_only=True)
class ConfigArguments(ExperimentArguments):
    """Print the settings that a run would have, as TOML."""

    list: bool = False
    """Print the names of the presets instead."""


def _experiment(arguments: ExperimentArguments) -> Experiment:
    cache = arguments.data / "prepared"
    return Experiment(arguments.settings, arguments.run, cache=cache, quiet=arguments.quiet)


def _run_folder(arguments: ExperimentArguments) -> RunFolder:
    return RunFolder(arguments.run or Path("runs") / arguments.preset)


def prepare(arguments: ExperimentArguments) -> None:
    """Prepare the corpus, start the run folder, and report what is in the corpus."""
    run = _run_folder(arguments)
    with run.lock():
        experiment = _experiment(arguments)
    if arguments.quiet:
        return
    for name, value in experiment.corpus.report.items():
        print(f"{name:<26}{value:>12,.4f}" if isinstance(value, float) else f"{name:<26}{value:>12,}")
    for part in ("train", "validation", "test"):
        first = experiment.decode(experiment.corpus.sequences(part)[0].tolist())
        print(f"{f'{part}/first':<26}{first}")
    print(f"run folder: {run.path}")


def pretrain(arguments: ExperimentArguments) -> None:
    """Maximum likelihood, then the discriminator."""
    run = _run_folder(arguments)
    with run.lock():
        experiment = _experiment(arguments)
        experiment.pretrain()
    if not arguments.quiet:
        print(f"{run.path}: pre-training is done; go on with: python -m seqgan train --run {run.path}")


def train(arguments: ExperimentArguments) -> None:
    """All phases, then the same evaluation of the generator before and after the adversarial one."""
    run = _run_folder(arguments)
    with run.lock():
        experiment = _experiment(arguments)
        done = experiment.loop.done("adversarial")
        experiment.train()
        results = compare(experiment)
    if arguments.quiet:
        return
    for name, content in results.items():
        print_sentences(f"{COMPARED[name]} ({name}):", content["sentences"][:NUM_SENTENCES])
    print(f"\n{table({COMPARED[name]: content for name, content in results.items()})}")
    print(f"\nsignature: {next(iter(results.values()))['signature']}")
    print(f"{run.path}: all is done{' already' if done else ''}.")
    print(f"watch: scripts/tensorboard.sh --logdir {run.path}")


def compare(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Evaluations of the generators before and after; those made before from the same weights are read."""
    assert experiment.run is not None
    results = {}
    for name in COMPARED:
        weights, path = experiment.run.generator(name), experiment.run.evaluation(name)
        if not weights.exists():
            continue
        if path.exists() and path.stat().st_mtime_ns > weights.stat().st_mtime_ns:
            results[name] = json.loads(path.read_text(encoding="utf-8"))
        else:
            results[name] = save_result(path, name, experiment.evaluate(experiment.load_generator(name)))
    return results


def show_config(arguments: ConfigArguments) -> None:
    """Print the resolved settings, or the names of the presets."""
    print("\n".join(preset_names()) if arguments.list else to_toml(to_settings(arguments.settings)), end="")
    if arguments.list:
        print()
