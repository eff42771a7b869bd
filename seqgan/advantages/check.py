"""A check of estimators that are written elsewhere."""

from collections.abc import Mapping

import torch
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.models.generator import Generator
from seqgan.runtime.files import first_line
from seqgan.runtime.trainer import Checked, metrics_problem
from seqgan.sampling.trajectories import Trajectories


class CheckedEstimator(Checked):
    """An estimator whose results are checked at every call: type, shape, finite values.

    The check reads values, so a GPU is waited for. Estimators of this package need none.

    Raises:
        ValueError: At a call: a result cannot be used; one line that names it.
    """

    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return the estimator's values."""
        tokens, mask = trajectories.tokens.clone(), trajectories.mask.clone()
        try:
            values: object = self.inner(policy, trajectories)
        except TypeError as error:  # it may not take what it is given
            raise ValueError(f"estimator {self.name}: raised TypeError: {first_line(error)}") from error
        if not (torch.equal(tokens, trajectories.tokens) and torch.equal(mask, trajectories.mask)):
            raise ValueError(f"estimator {self.name}: changes the sequences that it values")
        if not isinstance(values, ActionValues):
            raise ValueError(
                f"estimator {self.name}: returned {type(values).__name__}; it must return ActionValues"
            )
        if problem := _problem(values, trajectories, policy.vocabulary_size):
            raise ValueError(f"estimator {self.name}: {problem}")
        return values

    def learn(self, trajectories: Trajectories, values: ActionValues) -> Mapping[str, Tensor]:
        """Let the estimator learn; return its metrics."""
        metrics: Mapping[str, Tensor] = self.inner.learn(trajectories, values)
        if problem := metrics_problem(metrics):
            raise ValueError(f"estimator {self.name}: learn returned {problem}")
        return metrics


def _problem(values: ActionValues, trajectories: Trajectories, vocabulary_size: int) -> str | None:
    """Return what is wrong with the values of sequences, or None."""
    shape, wanted = tuple(values.actions.shape), tuple(trajectories.tokens.shape)
    if shape[:2] != wanted:
        return f"returned values of shape {shape}; they must be ({wanted[0]}, {wanted[1]}, K)"
    parts = {"actions": values.actions, "values": values.values}
    parts |= {"baseline": values.baseline, "mask": values.mask}
    for name, part in parts.items():
        if part.device != trajectories.device:
            return f"returned {name} on {part.device}; the sequences are on {trajectories.device}"
    if not shape[2]:
        return "returned no action to value; K must be at least 1"
    if values.mask.dtype != torch.bool or not torch.equal(values.mask, trajectories.mask):
        return "returned another mask than that of the sequences"
    if values.actions.dtype != torch.long:
        return f"returned actions of type {values.actions.dtype}; they must be {torch.long}"
    for name, part in {"values": values.values, "baseline": values.baseline}.items():
        if not part.is_floating_point():
            return f"returned {name} of type {part.dtype}; they must be floating-point numbers"
        if not torch.isfinite(part[values.mask]).all():
            return f"returned {name} that are not finite (NaN or infinity)"
    if values.actions.amin() < 0 or values.actions.amax() >= vocabulary_size:
        return f"returned actions that are no tokens; they must be from 0 to {vocabulary_size - 1}"
    return None
