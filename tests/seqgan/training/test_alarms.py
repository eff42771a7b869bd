"""Alarms ring on staged rows, and are silent on those of a good run."""

import random

import pytest

from seqgan.training.alarms import ALARMS, Alarms, TrainingDiverged

# The rows of a run of the tiny preset that went well, with the metrics that alarms look at:
# held-out AUC, held-out accuracy, entropy, unique share.
GOOD_RUN = [
    *((0.372, 0.489, None, None), (0.599, 0.580, None, None), (0.721, 0.705, None, None)),
    *((0.583, 0.580, 3.07, None), (0.714, 0.659, 3.08, None), (0.590, 0.591, 3.21, None)),
    *((0.666, 0.682, 3.21, None), (0.728, 0.648, 3.13, 1.0), (0.784, 0.716, 3.15, None)),
    *((0.781, 0.727, 3.15, None), (0.837, 0.727, 3.11, None), (0.887, 0.784, 3.16, None)),
    (0.920, 0.807, 3.18, 1.0),
]
METRICS = (
    "discriminator/auc_held_out",
    "discriminator/accuracy_held_out",
    "policy/entropy",
    "evaluation/unique",
)


def feed(alarms, metric, values, start=1, beside=""):
    """The names that ring after each row; another metric may rise beside."""
    ringing = []
    for step, value in enumerate(values, start):
        row = {metric: value, "mle/loss": 1.0, **({beside: float(step)} if beside else {})}
        alarms.check(row, step=step, phase="adversarial")
        ringing.append(alarms.ringing)
    return ringing


def test_a_good_run_is_silent():
    alarms = Alarms()
    for step, values in enumerate(GOOD_RUN, 1):
        row = {name: value for name, value in zip(METRICS, values, strict=True) if value is not None}
        assert alarms.check(row, step=step, phase="adversarial") == []
    assert alarms.summary() == []


def test_entropy_is_compared_with_its_first_value():
    ringing = feed(Alarms(), "policy/entropy", [4.0, 2.1, 1.9, 2.1])
    assert ringing == [set(), set(), {"entropy_collapse"}, set()]


def test_duplicates_are_compared_with_the_first_evaluation():
    assert feed(Alarms(), "evaluation/unique", [0.9, 0.73, 0.7]) == [set(), set(), {"duplicates"}]


def test_advantages_that_are_all_0_teach_nothing():
    some = [0.5, *[0.0] * 9, 1e-3, *[0.0] * 10, 0.2]
    ringing = feed(Alarms(), "policy/advantage_std", some)
    assert ringing == [*[set()] * 20, {"no_signal"}, set()]


def feed_reward(alarms, rewards, perplexities):
    ringing = []
    for step, (reward, perplexity) in enumerate(zip(rewards, perplexities, strict=True), 1):
        row = {"evaluation/reward": reward, "evaluation/forward_perplexity": perplexity}
        alarms.check(row, step=step, phase="adversarial")
        ringing.append(bool(alarms.ringing))
    return ringing


@pytest.mark.parametrize(
    ("rewards", "perplexities", "expected"),
    [
        ([0.1, 0.5, 0.9, 0.5], [100, 140, 160, 140], [False, False, True, False]),  # hacked, then mended
        ([0.1, 0.5, 0.9, 0.9], [100, 90, 120, 149], [False] * 4),  # an honest gain
        ([0.5, 0.4, 0.3, 0.5], [100, 200, 300, 400], [False] * 4),  # nothing gained: something else is wrong
    ],
)
def test_a_reward_that_rises_while_text_gets_worse_rings(rewards, perplexities, expected):
    assert feed_reward(Alarms(), rewards, perplexities) == expected
    assert feed_reward(Alarms({"reward_hacking"}), rewards, perplexities) == [False] * 4


def test_rows_with_only_one_of_both_are_passed_over():
    alarms = Alarms()
    for row in ({"evaluation/forward_perplexity": 10.0}, {"evaluation/reward": 0.9}):
        alarms.check(row, step=1, phase="mle")  # the first values are those of the first common row
    assert feed_reward(alarms, [0.1, 0.5], [100, 140]) == [False, False]


def test_a_discriminator_that_guesses_rings_after_five_refreshes():
    """As was measured where the paper's discriminator knew nothing: .45 to .53 throughout."""
    rng = random.Random(0)
    ringing = feed(Alarms(), METRICS[0], [rng.uniform(0.45, 0.53) for _ in range(42)])
    assert ringing == [set()] * 4 + [{"discriminator_guessing"}] * 38


def test_a_discriminator_that_knows_little_does_not_guess():
    """Around .58 on 200 sequences against 200, whose AUC has a standard error of .03."""
    rng = random.Random(0)
    assert not any(feed(Alarms(), METRICS[0], [rng.gauss(0.58, 0.029) for _ in range(300)]))


def test_a_discriminator_that_is_learning_does_not_guess():
    assert not any(feed(Alarms(), METRICS[0], [0.37, 0.42, 0.48, 0.53, 0.57, 0.60, 0.64, 0.66]))
    assert feed(Alarms(), METRICS[0], [0.5] * 5 + [0.6])[-2:] == [{"discriminator_guessing"}, set()]


def test_a_perfect_discriminator_rings_and_ceases_when_it_errs():
    ringing = feed(Alarms(), METRICS[1], [1.0] * 6 + [0.9])
    assert ringing == [set()] * 4 + [{"discriminator_perfect"}] * 2 + [set()]


def test_what_the_training_batch_says_rings_nothing():
    assert not any(feed(Alarms(), "discriminator/accuracy", [1.0] * 50 + [0.5] * 50))


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_an_alarm_says_value_meaning_and_remedy_once_and_again_at_the_end(alarm):
    alarms = Alarms()
    good, bad = (0.8, 1.0) if alarm.name == "discriminator_perfect" else (0.9, 0.2)
    bad = 0.0 if alarm.name == "no_signal" else bad
    good, bad = (bad, good) if alarm.while_rising else (good, bad)  # a perplexity, lower for the better
    feed(alarms, alarm.metric, [good, *[bad] * 10], beside=alarm.while_rising)
    (change,) = alarms.changes
    assert change.ringing
    assert all(part in change.text for part in (alarm.metric, alarm.meaning, alarm.remedy, "at first"))
    assert "\n" not in change.text
    assert alarms.summary() == [f"rang at step {change.step} of adversarial, still rings: {change.text}"]
    feed(alarms, alarm.metric, [good] * alarm.window, start=12, beside=alarm.while_rising)
    (ceased,) = alarms.changes[1:]
    assert ceased.text.startswith(f"{alarm.name} has ceased: {alarm.metric} is ")
    feed(alarms, alarm.metric, [bad] * alarm.window, start=20, beside=alarm.while_rising)
    assert alarms.summary()[0].startswith(
        f"rang at step {change.step} of adversarial and 2 times in all, still rings: {alarm.name}: "
    )


@pytest.mark.parametrize("name", ["mle/loss", "policy/gradient_norm", "discriminator/loss"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_stops(name, value):
    with pytest.raises(TrainingDiverged, match=f"{name} is {value}.*try a smaller learning rate"):
        Alarms().check({name: value}, step=1, phase="mle")
    Alarms().check({"evaluation/anything": value}, step=1, phase="mle")


def test_a_reward_that_is_not_finite_is_not_blamed_on_the_learning_rate():
    row = {"policy/loss": float("nan"), "reward/mean": float("nan"), "reward/step_20": float("nan")}
    with pytest.raises(TrainingDiverged, match=r"^reward/mean is nan: the reward gave") as error:
        Alarms().check(row, step=1, phase="adversarial")
    assert "learning rate" not in str(error.value)


def test_memory_is_saved():
    values = [4.0, 1.0, 1.0, 3.0, 0.5]
    whole = Alarms()
    feed(whole, "policy/entropy", values)
    auc = [0.5, 0.51, 0.49, 0.5, 0.52, 0.7]
    feed(whole, METRICS[0], auc)
    first, second = Alarms(), Alarms()
    feed(first, "policy/entropy", values[:3])
    second.load_state_dict(first.state_dict())
    feed(second, "policy/entropy", values[3:], start=4)
    feed(second, METRICS[0], auc[:3])
    third = Alarms()
    third.load_state_dict(second.state_dict())
    feed(third, METRICS[0], auc[3:], start=4)
    assert third.changes == whole.changes
    assert third.summary() == whole.summary()
    assert len(whole.changes) == 5
