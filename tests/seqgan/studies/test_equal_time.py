"""Ways to train for the same time: what each run starts from, and how long it took."""

import itertools

import pytest

from seqgan.evaluation.signature import Score, Signature
from seqgan.studies import equal_time, processes, table
from seqgan.studies.table import ScoreTable, Source


@pytest.fixture(name="calls")
def calls_instead_of_processes(monkeypatch):
    """Every training takes 90 seconds."""
    calls = []
    clock = itertools.count(0, 90)
    monkeypatch.setattr(processes, "call", lambda *command, show=True: calls.append(list(command[2:])))
    monkeypatch.setattr(equal_time, "children_seconds", lambda: float(next(clock)))
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
    assert (len(bases), len(trained)) == (2 * 2, 6 * 2)
    for call in trained.values():
        base = bases[value(call, "--pretrained")]
        assert (value(base, "--preset"), value(base, "--seed")) == (
            value(call, "--preset"),
            value(call, "--seed"),
        )
    returns = trained[str(tmp_path / "returns-CNN-seed1")]
    assert (value(returns, "--estimator.kind"), value(returns, "--adversarial.rounds")) == ("returns", "9")

    (plan,) = plans
    assert plan["MLE"] == [Source(tmp_path / f"docstrings-seed{seed}", "mle-best") for seed in (0, 1)]
    for title in equal_time.ROWS:
        assert all(
            str(source.run) in trained and source.generator == "adversarial-last" for source in plan[title]
        )
        assert [value(trained[str(source.run)], "--seed") for source in plan[title]] == ["0", "1"]
    rows = {line.split(" | ")[0]: line.split(" | ")[1] for line in text.splitlines() if line.startswith("| ")}
    assert rows["| MLE"] == "–"
    assert {rows[f"| {title}"] for title in equal_time.ROWS} == {"1.5 ± 0.0"}  # minutes

    calls.clear()
    assert equal_time.compare(tmp_path, 2) == text
    assert {call[0] for call in calls} == {"pretrain"}


def test_the_time_of_what_was_broken_off_counts(calls, tmp_path, monkeypatch):
    def stop(*command, show=True):
        raise processes.Stopped(143)

    with monkeypatch.context() as patch, pytest.raises(processes.Stopped):
        patch.setattr(processes, "call", stop)
        equal_time.train_timed(tmp_path, "rollouts, CNN", 3, [])
    equal_time.train_timed(tmp_path, "rollouts, CNN", 3, ["--seed", "3"])
    assert calls == [["train", "--seed", "3"]]
    assert equal_time.read_seconds(tmp_path) == {("rollouts, CNN", 3): 180.0}
    assert equal_time.read_seconds(tmp_path, state="done") == {("rollouts, CNN", 3): 90.0}
