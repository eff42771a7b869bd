import json
import random
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from seqgan.runtime.tracking import Projection, Tracker, encode_row, read_rows, to_numbers


def events_of(folder, phase):
    everything = {"scalars": 0, "histograms": 0, "tensors": 0}
    events = EventAccumulator(str(folder / "tensorboard" / phase), size_guidance=everything)
    events.Reload()
    return events


def scalars(folder, phase, name):
    return [(event.step, event.value) for event in events_of(folder, phase).Scalars(name)]


def text_of(events, name):
    (event,) = events.Tensors(f"{name}/text_summary")
    return event.tensor_proto.string_val[0].decode()


def test_tensors_and_numbers_become_numbers_in_their_order():
    row = to_numbers({"b": 1.5, "a": torch.tensor(2), "c": torch.tensor([3.0]).sum()})
    assert list(row.items()) == [("b", 1.5), ("a", 2.0), ("c", 3.0)]
    assert to_numbers({}) == {}


def test_rows_and_events_hold_the_same_scalars(tmp_path):
    tracker = Tracker(tmp_path)
    for step in range(1, 4):
        tracker.log(step, "mle", {"mle/loss": torch.tensor(1.0 / step), "mle/odd": float("nan")})
    tracker.log_text(3, "mle", "samples", ["a <b> *sentence*", "another\x1b[2J"])
    tracker.close()
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[0] == {"step": 1, "phase": "mle", "mle/loss": 1.0, "mle/odd": None}
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert scalars(tmp_path, "mle", "mle/loss") == [
        (row["step"], pytest.approx(row["mle/loss"])) for row in rows
    ]
    assert text_of(events_of(tmp_path, "mle"), "samples") == "    a <b> *sentence*\n    another\\x1b[2J"


def test_phases_are_runs_of_their_own_that_begin_with_their_own_first_step(tmp_path):
    """However long pre-training took, the adversarial curves of two runs lie above each other."""
    for run, num_steps in (("short", 3), ("long", 9)):
        tracker = Tracker(tmp_path / run)
        for step in range(1, num_steps + 1):
            tracker.log(step, "mle", {"evaluation/nll_validation": 5.0})
        tracker.log(1, "adversarial", {"evaluation/nll_validation": 4.0})
        tracker.close()
        assert scalars(tmp_path / run, "adversarial", "evaluation/nll_validation") == [(1, 4.0)]
        assert len(scalars(tmp_path / run, "mle", "evaluation/nll_validation")) == num_steps
        assert len(list((tmp_path / run).rglob("*tfevents*"))) == 2


def test_settings_are_hyperparameters_and_text(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.log_settings({"seed": 2})
    tracker.load_state_dict({})
    tracker.log_settings({"seed": 3, "mle.keep_best": True, "reward.kind": "random", "corpus.path": None})
    tracker.close()
    events = events_of(tmp_path, "")
    (content,) = (events.summary_metadata["_hparams_/session_start_info"].plugin_data.content,)
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["seed"].number_value == 3
    assert found["mle.keep_best"].bool_value
    assert (found["reward.kind"].string_value, found["corpus.path"].string_value) == ("random", "None")
    assert "    reward.kind = random" in text_of(events, "settings").splitlines()


def test_alarms_are_text_and_no_charts(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.log_alarm(7, "adversarial", "duplicates", ringing=True, text="what it means")
    tracker.close()
    expected = {
        "step": 7,
        "phase": "adversarial",
        "alarm": "duplicates",
        "ringing": True,
        "text": "what it means",
    }
    assert read_rows(tmp_path / "metrics.jsonl") == [expected]
    events = events_of(tmp_path, "adversarial")
    assert text_of(events, "alarm/duplicates") == "    what it means"
    assert events.Tags()["scalars"] == []


def test_values_of_different_units_have_different_charts(tmp_path):
    for unit in ("logit", "probability", ""):
        tracker = Tracker(tmp_path / unit, {"reward/mean": unit})
        tracker.log(1, "adversarial", {"reward/mean": 0.5, "policy/loss": 2.0})
        tracker.close()
        tag = f"reward/mean, {unit}" if unit else "reward/mean"
        assert {*events_of(tmp_path / unit, "adversarial").Tags()["scalars"]} == {tag, "policy/loss"}
        assert read_rows(tmp_path / unit / "metrics.jsonl")[0]["reward/mean"] == 0.5


def test_histograms_count_all_finite_values(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.log_values(
        1, "adversarial", "policy/advantages", torch.tensor([[-1.0, 0.0], [3.0, float("inf")]])
    )
    tracker.log_values(2, "adversarial", "policy/advantages", torch.tensor([float("nan")]))
    tracker.log_values(3, "adversarial", "policy/advantages", torch.full((4,), 2.0))
    tracker.close()
    first, last = events_of(tmp_path, "adversarial").Histograms("policy/advantages")
    assert (first.step, first.histogram_value.num, first.histogram_value.min) == (1, 3, -1)
    assert (last.step, last.histogram_value.num, last.histogram_value.sum) == (3, 4, 8)


@pytest.mark.parametrize("clock", [+3600, -3600, 0])
def test_a_restart_cuts_what_came_after_the_checkpoint_whatever_the_clock_says(tmp_path, monkeypatch, clock):
    tracker = Tracker(tmp_path)
    tracker.load_state_dict({})
    for step in (1, 2):
        tracker.log(step, "mle", {"mle/loss": float(step)})
    state = tracker.state_dict()
    tracker.log(3, "mle", {"mle/loss": 3.0})
    tracker.log(1, "adversarial", {"policy/loss": 1.0})
    tracker.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "half a')
    now = time.time() + clock
    monkeypatch.setattr(time, "time", lambda: now)
    again = Tracker(tmp_path)
    again.load_state_dict(state)
    for step in (3, 4):
        again.log(step, "mle", {"mle/loss": 10.0 * step})
    again.close()
    expected = [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]
    assert [(row["step"], row["mle/loss"]) for row in read_rows(tmp_path / "metrics.jsonl")] == expected
    assert scalars(tmp_path, "mle", "mle/loss") == expected
    assert events_of(tmp_path, "adversarial").Tags()["scalars"] == []


def test_a_new_run_begins_with_empty_files(tmp_path):
    for value in (1.0, 2.0):
        tracker = Tracker(tmp_path)
        tracker.load_state_dict({})
        tracker.log(1, "mle", {"mle/loss": value})
        tracker.close()
    assert read_rows(tmp_path / "metrics.jsonl") == [{"step": 1, "phase": "mle", "mle/loss": 2.0}]
    assert scalars(tmp_path, "mle", "mle/loss") == [(1, 2.0)]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(None)
    tracker.load_state_dict({"metrics.jsonl": 5})
    assert tracker.log(1, "mle", {"mle/loss": torch.tensor(2.0)}) == {"mle/loss": 2.0}
    tracker.log_values(1, "mle", "x", torch.ones(3))
    tracker.log_settings({"seed": 1})
    tracker.log_alarm(1, "mle", "x", ringing=True, text="")
    assert tracker.state_dict() == {}
    tracker.close()
    assert list(tmp_path.iterdir()) == []


def test_labels_of_the_projector_stay_in_their_cells(tmp_path):
    tracker = Tracker(tmp_path)
    columns = {"word": ["a\tb", "c\nd"], "id": [0, 1]}
    tracker.project({"goals": Projection(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), columns)})
    table = (tmp_path / "tensorboard" / "goals-labels.tsv").read_text().splitlines()
    assert [line.split("\t") for line in table] == [["word", "id"], ["a\\x09b", "0"], ["c\\x0ad", "1"]]


ROWS = [
    {"step": 1, "phase": "mle", "mle/loss": 1.25, "text": 'quotes ", and "crc32": "0"'},
    {"step": 2, "phase": "mle"},
    {"step": 3, "phase": "adversarial", "policy/loss": -0.5},
]


def test_rows_are_read_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("")
    assert read_rows(path) == []
    path.write_text("".join(map(encode_row, ROWS)))
    assert read_rows(path) == ROWS


def test_damaged_rows_are_named_by_file_and_line(tmp_path):
    path, content, rng = tmp_path / "metrics.jsonl", "".join(map(encode_row, ROWS)).encode(), random.Random(0)
    for place in rng.sample(range(len(content)), 120):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        line = content[:place].count(b"\n") + 1
        with pytest.raises(ValueError, match=rf"metrics\.jsonl: line {line} is (damaged|cut off)"):
            read_rows(path)
    for length in rng.sample(range(1, len(content)), 30):
        path.write_bytes(content[:length])
        if content[:length].endswith(b"\n"):
            continue
        line = content[:length].count(b"\n") + 1
        with pytest.raises(ValueError, match=rf"metrics\.jsonl: line {line} is (damaged|cut off)"):
            read_rows(path)
