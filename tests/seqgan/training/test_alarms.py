import pytest

from seqgan.training.alarms import Alarms, TrainingDiverged


def ringing(alarms, row):
    return {name for name, on in alarms.check(row).items() if on}


def test_entropy_is_compared_with_its_first_value():
    alarms = Alarms()
    assert ringing(alarms, {"policy/entropy": 4.0}) == set()
    assert ringing(alarms, {"policy/entropy": 2.1}) == set()
    assert ringing(alarms, {"policy/entropy": 1.9}) == {"entropy_collapse"}


def test_duplicates():
    alarms = Alarms()
    assert ringing(alarms, {"evaluation/unique": 0.9}) == set()
    assert ringing(alarms, {"evaluation/unique": 0.7}) == {"duplicates"}


@pytest.mark.parametrize(
    ("accuracy", "name"), [(1.0, "discriminator_perfect"), (0.51, "discriminator_guessing")]
)
def test_a_pinned_discriminator_rings_after_many_rows_and_stops_when_it_moves(accuracy, name):
    alarms = Alarms()
    rows = [ringing(alarms, {"discriminator/accuracy": accuracy}) for _ in range(20)]
    assert rows[:-1] == [set()] * 19
    assert rows[-1] == {name}
    assert ringing(alarms, {"discriminator/accuracy": 0.8}) == set()


@pytest.mark.parametrize("name", ["mle/loss", "policy/gradient_norm", "discriminator/loss"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_stops(name, value):
    with pytest.raises(TrainingDiverged, match=f"{name} is {value}"):
        Alarms().check({name: value})
    Alarms().check({"evaluation/anything": value})


def test_memory_is_saved():
    alarms, again = Alarms(), Alarms()
    alarms.check({"policy/entropy": 4.0, "discriminator/accuracy": 1.0})
    again.load_state_dict(alarms.state_dict())
    assert again == alarms
