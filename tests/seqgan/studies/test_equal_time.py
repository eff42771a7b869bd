"""Ways to train for the same time: what each run starts from, and how long it took."""

import itertools

import pytest

from seqgan.evaluation.signature import Score, Signature
from seqgan.studies import equal_time, processes, table
from seqgan.studies.table import ScoreTable, Source


@pytest.fixture(name="calls")
def calls_instead_of_processes(monkeypatch):
    """Every training takes 10 seconds, and 20 for each round."""
    calls = []

    def seconds():
        return sum(
            10.0 + 20 * int(value(call, "--adversarial.rounds")) for call in calls if call[0] == "train"
        )

    monkeypatch.setattr(processes, "call", lambda *command, show=True: calls.append(list(command[2:])))
    monkeypatch.setattr(equal_time, "children_seconds", seconds)
    return calls


def value(call, flag):
    return call[call.index(flag) + 1]


def test_each_run_starts_from_the_pretraining_of_its_preset_and_seed_and_none_is_trained_twice(
    calls, tmp_path, monkeypatch
):
    plans = []

    def measure_rows(plan):
        plans.append(plan)
        return ScoreTable({row: [Score({"nll_test": 4.0}, Signature())] * len(s) for row, s in plan.items()})

    monkeypatch.setattr(table, "measure_rows", measure_rows)
    text = equal_time.compare(tmp_path, 2)
    bases = {value(call, "--run"): call for call in calls if call[0] == "pretrain"}
    trained = {value(call, "--run"): call for call in calls if call[0] == "train"}
    assert (len(bases), len(trained)) == (2 * 2, 6 * 2 + 6 * 2)  # with two short runs for each row
    for call in trained.values():
        base = bases[value(call, "--pretrained")]
        assert (value(base, "--preset"), value(base, "--seed")) == (
            value(call, "--preset"),
            value(call, "--seed"),
        )
    returns = trained[str(tmp_path / "returns-CNN-seed1")]
    assert (value(returns, "--estimator.kind"), value(returns, "--adversarial.rounds")) == (
        "returns",
        "9",
    )  # 180 s at 20 each

    (plan,) = plans
    assert plan["MLE"] == [Source(tmp_path / f"docstrings-seed{seed}", "mle-best") for seed in (0, 1)]
    for title in equal_time.ROWS:
        assert all(
            str(source.run) in trained and source.generator == "adversarial-last" for source in plan[title]
        )
        assert [value(trained[str(source.run)], "--seed") for source in plan[title]] == ["0", "1"]
    rows = {line.split(" | ")[0]: line.split(" | ")[1] for line in text.splitlines() if line.startswith("| ")}
    assert rows["| MLE"] == "–"
    assert {rows[f"| {title}"] for title in equal_time.ROWS} == {"3.2 ± 0.0"}  # minutes: 190 s

    calls.clear()
    assert equal_time.compare(tmp_path, 2) == text
    assert {call[0] for call in calls} == {"pretrain"}


def test_the_time_of_what_was_broken_off_counts(calls, tmp_path, monkeypatch):
    def stop(*command, show=True):
        raise processes.Stopped(143)

    with monkeypatch.context() as patch, pytest.raises(processes.Stopped):
        patch.setattr(processes, "call", stop)
        patch.setattr(equal_time, "children_seconds", itertools.count(0, 7).__next__)
        equal_time.train_timed(tmp_path, "rollouts, CNN", 3, [])
    flags = ["--seed", "3", "--adversarial.rounds", "4"]
    equal_time.train_timed(tmp_path, "rollouts, CNN", 3, flags)
    assert calls == [["train", *flags]]
    assert equal_time.read_seconds(tmp_path) == {("rollouts, CNN", 3): 7.0 + 90}
    assert equal_time.read_seconds(tmp_path, state="done") == {("rollouts, CNN", 3): 90.0}
