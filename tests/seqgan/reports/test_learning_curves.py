"""Learning curves: which rows of a run are drawn where, and alarms among the rows."""

import pytest

from seqgan.reports.alarms import RungAlarm, find_alarms
from seqgan.reports.findings import History
from seqgan.reports.learning_curves import NLL, draw_learning_curves, points

ROWS = [
    {"step": 10, "phase": "mle", NLL: 5.0, "mle/loss": 5.5},
    {"step": 20, "phase": "mle", NLL: 4.0},
    {"step": 30, "phase": "mle", NLL: 4.5, "evaluation/bleu_4": 0.1},
    {"step": 4, "phase": "discriminator", "discriminator/auc_held_out": 0.7},
    {"step": 0, "phase": "adversarial", NLL: 4.1},
    {"step": 1, "phase": "adversarial", "policy/entropy": 3.0, "reward/mean": None},
    {"step": 6, "phase": "adversarial", NLL: 4.2, "evaluation/bleu_4": 0.2, "policy/entropy": 1.0},
]


def test_steps_of_the_adversarial_phase_count_from_its_first():
    history = History(ROWS)
    assert points(history, "policy/entropy", adversarial=True) == [(1, 3.0), (6, 1.0)]
    assert points(history, "evaluation/bleu_4", adversarial=True) == [(6, 0.2)]
    assert points(history, "reward/mean", adversarial=True) == []  # None stands for what is not finite
    assert points(history, "discriminator/auc_held_out", adversarial=False) == [(34, 0.7)]
    assert points(history, "discriminator/auc_held_out", adversarial=True) == []


def test_the_likelihood_starts_from_what_was_measured_of_the_model_that_was_handed_on():
    """It may be none of those before: a generator that listens hears another discriminator by then."""
    assert points(History(ROWS), NLL, adversarial=True) == [(0, 4.1), (6, 4.2)]
    assert points(History(ROWS), NLL, adversarial=False) == [(10, 5.0), (20, 4.0), (30, 4.5)]


@pytest.mark.slow
def test_only_what_was_logged_is_drawn_and_always_alike():
    histories = {"one": History(ROWS), "two": History([])}
    drawn = draw_learning_curves(histories)
    titles = {phase: [figure.title for figure in figures] for phase, figures in drawn.items()}
    assert titles == {
        "before the adversarial phase": [
            "NLL-validation, before the adversarial phase",
            "AUC of the discriminator, before the adversarial phase",
        ],
        "adversarial phase": [
            "NLL-validation, adversarial phase",
            "BLEU-4 and self-BLEU-4, adversarial phase",
            "Entropy of the policy, adversarial phase",
        ],
    }
    assert drawn == draw_learning_curves(histories)
    likelihood = drawn["adversarial phase"][0]
    assert likelihood.description == "one, NLL-validation: 4.1000 to 4.2000"
    assert likelihood.svg.startswith("<svg") and likelihood.svg.rstrip().endswith("</svg>")
    assert draw_learning_curves({"two": History([])}) == {phase: [] for phase in drawn}


def test_alarms_are_found_in_the_order_in_which_they_first_rang():
    rows = [
        {"step": 1, "phase": "mle", "mle/loss": 1.0},
        {"step": 2, "phase": "adversarial", "alarm": "entropy_collapse", "ringing": True, "text": "..."},
        {"step": 3, "phase": "adversarial", "alarm": "own", "ringing": True, "text": "..."},
        {"step": 4, "phase": "adversarial", "alarm": "entropy_collapse", "ringing": False, "text": "..."},
        {"step": 9, "phase": "adversarial", "alarm": "entropy_collapse", "ringing": True, "text": "..."},
        {"step": 9, "phase": "adversarial", "alarm": "own", "ringing": False, "text": "..."},
    ]
    found = find_alarms(rows)
    assert found == [
        RungAlarm("entropy_collapse", "adversarial", 2, 2, True),
        RungAlarm("own", "adversarial", 3, 1, False),
    ]
    assert found[0].meaning.startswith("the policy's entropy is below half of its first value")
    assert found[1].meaning == ""
    assert find_alarms(rows[:1]) == []
