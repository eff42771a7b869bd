"""Random numbers: every stream comes from the one seed, and all states can be saved and restored."""

import hashlib

import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed from a seed and the names of what it is for; the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def make_rng(device: torch.device | str, *parts: int | str) -> torch.Generator:
    """Build a generator of random numbers on ``device``, seeded from ``parts``."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))


def random_states(rng: torch.Generator) -> dict[str, Tensor]:
    """Return the states of ``rng`` and of torch's own generators (dropout draws from those)."""
    states = {"rng": rng.get_state(), "cpu": torch.get_rng_state()}
    if rng.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(rng.device)
    return states


def restore_random_states(states: dict[str, Tensor], rng: torch.Generator) -> None:
    """Restore what :func:`random_states` returned."""
    rng.set_state(states["rng"])
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], rng.device)
