"""The kinds and presets of LeakGAN."""

from importlib import resources

import leakgan
from seqgan.experiment.catalogue import SEQGAN, Catalogue

CATALOGUE = Catalogue(
    name="leakgan",
    base=SEQGAN,
    presets=resources.files(leakgan) / "presets",
    kinds={
        **SEQGAN.kinds,
        "generator": {
            "leakgan": "leakgan.generator:LeakGANGenerator",
            "leakgan-transformer": "leakgan.generator:build_transformer",
        },
        "mle": {"leakgan": "leakgan.mle:HierarchicalMLETrainer"},
        "discriminator": {kind: SEQGAN.kinds["discriminator"][kind] for kind in ("cnn", "cnn+pairs")},
        "estimator": {
            "leakgan-rollouts": "leakgan.estimators:LeakGANRollouts",
            "leakgan-candidates": "leakgan.estimators:LeakGANCandidates",
        },
        "algorithm": {"leakgan": "leakgan.algorithm:LeakGANAlgorithm"},
    },
    defaults={
        **SEQGAN.defaults,
        "generator": "leakgan",
        "mle": "leakgan",
        "estimator": "leakgan-rollouts",
        "algorithm": "leakgan",
    },
)
