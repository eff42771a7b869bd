import torch

from seqgan.runtime.seeding import derive_seed, make_rng, random_states, restore_random_states


def test_seeds_are_known_distinct_and_fit_torch():
    assert derive_seed(0, "training") == derive_seed(0, "training")
    names = [derive_seed(seed, name) for seed in range(20) for name in ("training", "evaluation")]
    assert len(set(names)) == len(names)
    assert all(0 <= seed < 2**63 for seed in names)
    assert derive_seed(1, 23) != derive_seed(12, 3)


def test_all_states_are_restored():
    rng = make_rng("cpu", 0, "test")
    states = random_states(rng)
    first = torch.rand(3, generator=rng), torch.nn.functional.dropout(torch.ones(100))
    restore_random_states(states, rng)
    second = torch.rand(3, generator=rng), torch.nn.functional.dropout(torch.ones(100))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
