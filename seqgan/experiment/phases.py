"""The schedule of an experiment: its phases, as tables of turns."""

from collections.abc import Callable
from typing import Any

from seqgan.experiment.assessments import Assessments
from seqgan.experiment.generator_files import GeneratorState
from seqgan.experiment.materials import Materials
from seqgan.runtime.trainer import Trainer
from seqgan.training.schedule import Figure, Phase, PhaseRun, Turn


def build_phases(
    materials: Materials, assessments: Assessments, *, save_best: Callable[[str], object]
) -> list[PhaseRun]:
    """Build the phases: maximum likelihood, discriminator, adversarial; all but the last are pre-training.

    Nothing but the last asks for the reward. A discriminator that neither the policy nor the reward asks for
    has no turns. ``save_best`` is called with the name of a phase whenever its best generator has changed.
    """
    policy = materials.policy
    trainers: dict[str, Trainer] = {"mle": materials.mle, "policy": materials.algorithm}
    if materials.is_built("discriminator"):
        trainers["discriminator"] = materials.discriminator_trainer
    mle, discriminator, adversarial = schedule(materials, trainers)
    has_discriminator = "discriminator" in trainers
    return [
        PhaseRun(
            mle,
            trainers,
            assess=lambda: _nll_figure(assessments.nll()),
            conclude=assessments.evaluate,
            kept=GeneratorState(policy),
            on_best=lambda: save_best(mle.name),
        ),
        PhaseRun(
            discriminator,
            trainers,
            assess=lambda: materials.discriminator_trainer.assess(),
            kept=materials.discriminator if has_discriminator else None,
        ),
        PhaseRun(
            adversarial,
            trainers,
            assess=assessments.evaluate_with_reward,
            on_best=lambda: save_best(adversarial.name),
            assess_start=True,
        ),
    ]


def schedule(materials: Materials, trainers: dict[str, Trainer]) -> tuple[Phase, Phase, Phase]:
    """Return the tables of turns that the settings describe."""
    settings = materials.settings
    mle: Any = settings.mle
    pretraining, adversarial = settings.discriminator_training, settings.adversarial
    epoch = trainers["mle"].steps_per_turn
    refresh = trainers["discriminator"].steps_per_turn if "discriminator" in trainers else 0
    visits = refresh * mle.interleaving_refreshes if mle.interleaving_epochs else 0
    return (
        Phase(
            "mle",
            mle.epochs,
            [
                Turn("discriminator", visits, every=mle.interleaving_epochs or 1),
                Turn("mle", epoch, warmup_steps=mle.warmup_steps, cosine_decay=mle.cosine_decay),
            ],
            interval=mle.validation_interval,
            patience=mle.patience,
            keep_best=mle.keep_best,
        ),
        Phase(
            "discriminator",
            pretraining.refreshes,
            [Turn("discriminator", refresh)],
            patience=pretraining.patience,
            keep_best=pretraining.keep_best,
            trains_generator=False,
        ),
        Phase(
            "adversarial",
            adversarial.rounds,
            [
                Turn("policy", adversarial.policy_steps, cosine_decay=adversarial.cosine_decay),
                Turn("discriminator", refresh * adversarial.discriminator_refreshes),
                # last, since a generator that listens to the discriminator must get used to what it now says
                Turn("mle", adversarial.mle_steps, rate=adversarial.mle_rate),
            ],
            interval=adversarial.evaluation_interval,
        ),
    )


def _nll_figure(nll: float) -> Figure:
    return Figure(nll, {"evaluation/nll_validation": nll})
