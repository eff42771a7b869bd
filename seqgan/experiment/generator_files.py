"""The generators of a run on disk."""

from collections.abc import Mapping
from typing import Any

from seqgan.experiment.run_folder import RunFolder
from seqgan.models.generator import Generator
from seqgan.runtime import checkpoint
from seqgan.runtime.files import as_value_error

FURTHEST = ("adversarial-last", "mle-best", "mle-last")


class GeneratorState:
    """All weights that a generator's probabilities depend on: its own and those of its companions."""

    def __init__(self, generator: Generator) -> None:
        self.modules = {"generator": generator, **generator.companions()}

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of every module by its name."""
        return {name: dict(module.state_dict()) for name, module in self.modules.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        for name, module in self.modules.items():
            module.load_state_dict(state[name])


class GeneratorFiles:
    """Write and read generators.

    ``header`` goes into every file; its ``corpus`` says which corpus the generator belongs to.
    """

    def __init__(self, run: RunFolder, header: Mapping[str, Any]) -> None:
        self.run = run
        self.header = header

    def save(self, name: str, generator: Generator) -> None:
        """Save the weights as they are now."""
        state = GeneratorState(generator).state_dict()
        checkpoint.save(self.run.generator(name), {**self.header, "generator": state})

    def load(self, name: str, generator: Generator) -> None:
        """Put the weights of that name into ``generator`` and its companions.

        Raises:
            ValueError: They are damaged, or belong to another corpus or to other settings.
        """
        path = self.run.generator(name)
        payload = checkpoint.load(path, corpus=self.header["corpus"])
        with as_value_error(f"{path}: does not fit the run's settings"):
            for part, module in GeneratorState(generator).modules.items():
                checkpoint.load_weights(module, payload["generator"][part])

    def choose(self, name: str | None = None) -> str:
        """Return that name, if there is such a generator, or the furthest that there is.

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
