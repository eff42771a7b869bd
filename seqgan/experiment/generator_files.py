"""The generators of a run on disk."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from seqgan.experiment.run_folder import RunFolder
from seqgan.runtime import checkpoint
from seqgan.runtime.files import as_value_error

FURTHEST = ("adversarial-last", "mle-best", "mle-last")


class GeneratorFiles:
    """Writes and reads generators, each as the weights of the module that is kept of it.

    ``header`` goes into every file; its ``corpus`` says which corpus the generator belongs to.
    """

    def __init__(self, run: RunFolder, header: Mapping[str, Any]) -> None:
        self.run = run
        self.header = header

    def save(self, name: str, kept: nn.Module) -> None:
        """Save the weights as they are now."""
        checkpoint.save(self.run.generator(name), {**self.header, "generator": kept.state_dict()})

    def load(self, name: str, kept: nn.Module) -> None:
        """Put the weights of that name into ``kept``.

        Raises:
            ValueError: They are damaged, or belong to another corpus or to other settings.
        """
        path = self.run.generator(name)
        payload = checkpoint.load(path, corpus=self.header["corpus"])
        with as_value_error(f"{path}: does not fit the run's settings"):
            checkpoint.load_weights(kept, payload["generator"])

    def choose(self, name: str | None = None) -> str:
        """That name, if there is such a generator, or the furthest that there is.

        Raises:
            ValueError: There is none; names those that there are.
        """
        names = self.run.find_generators()
        chosen = name or next((n for n in FURTHEST if n in names), None)
        if chosen not in names:
            there = ", ".join(n for n in names if n != "oracle" or name) or "none yet; pretrain first"
            raise ValueError(
                f"--checkpoint: {self.run.path} has no {chosen or 'generator'}; there is {there}"
            )
        assert chosen is not None
        return chosen
