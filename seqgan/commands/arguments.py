"""The arguments that the commands of an experiment share, and how people are told what to do next."""

import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from seqgan.experiment.catalogue import SEQGAN, Catalogue
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import RunFolder
from seqgan.experiment.settings import ExperimentSettings


@dataclass(frozen=True, kw_only=True)
class ExperimentArguments:
    """Where an experiment lives and where its settings come from: preset, then file, then flags."""

    run: Path | None = None
    """Run folder; made if it is not there, gone on with if it is; by default it is named by the preset."""
    preset: str | None = None
    """Named settings to start from; `config --list` shows them."""
    config: Path | None = None
    """TOML file of settings over those of the preset; the config.toml of a run is one."""
    pretrained: Path | None = None
    """Run folder whose pre-training and settings a new run takes over; flags change what comes later."""
    data: Path = Path("data")
    """Folder whose subfolder `prepared` keeps prepared corpora."""
    quiet: bool = False
    """Show no progress bars and print no report."""
    settings: ExperimentSettings = field(default_factory=ExperimentSettings)
    catalogue: Catalogue = SEQGAN

    @property
    def run_folder(self) -> RunFolder:
        """The folder of the run."""
        return RunFolder(self.run or Path())

    def build(self) -> Experiment:
        """Build the experiment, in a run folder that is held."""
        return Experiment(
            self.settings,
            self.run_folder.path,
            catalogue=self.catalogue,
            cache=self.data / "prepared",
            pretrained=self.pretrained,
            quiet=self.quiet,
            announce=(lambda line: None) if self.quiet else print,
        )


def command_line(command: str, *flags: object, package: str = "seqgan") -> str:
    """Return what to type for another command, in the way in which this one was called."""
    if scripts := os.environ.get("SEQGAN_SCRIPTS"):
        words = [f"{scripts}/{command}.sh", *([package] if package != "seqgan" else [])]
    elif Path(sys.argv[0]).name == "__main__.py":
        words = ["python", "-m", package, command]
    else:
        words = [package, command]
    return shlex.join([*words, *map(str, flags)])
