import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqgan.runtime.tracking import Tracker, read_rows, to_numbers


def test_tensors_and_numbers_become_numbers_in_their_order():
    row = to_numbers({"b": 1.5, "a": torch.tensor(2), "c": torch.tensor([3.0]).sum()})
    assert list(row.items()) == [("b", 1.5), ("a", 2.0), ("c", 3.0)]
    assert to_numbers({}) == {}


def test_rows_and_events_hold_the_same_scalars(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.start(0, 0)
    for step in range(1, 4):
        tracker.log(step, "mle", {"mle/loss": torch.tensor(1.0 / step), "alarm/nan": float("nan")})
    tracker.log_text(3, "samples", ["a <b> *sentence*", "another"])
    tracker.close()
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[0] == {"step": 1, "phase": "mle", "mle/loss": 1.0, "alarm/nan": None}
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [e.value for e in events.Scalars("mle/loss")] == pytest.approx([row["mle/loss"] for row in rows])
    assert (
        events.Tensors("samples/text_summary")[0].tensor_proto.string_val[0]
        == b"    a <b> *sentence*\n    another"
    )


def test_rows_behind_a_checkpoint_are_cut_on_resume(tmp_path):
    tracker = Tracker(tmp_path)
    tracker.start(0, 0)
    tracker.log(1, "mle", {"mle/loss": 1.0})
    offset = tracker.offset
    tracker.log(2, "mle", {"mle/loss": 2.0})
    tracker.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "half a')
    again = Tracker(tmp_path)
    again.start(1, offset)
    again.log(2, "mle", {"mle/loss": 5.0})
    again.close()
    assert [json.dumps(row.get("mle/loss")) for row in read_rows(tmp_path / "metrics.jsonl")] == [
        "1.0",
        "5.0",
    ]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(None)
    tracker.start(0, 0)
    assert tracker.log(1, "mle", {"mle/loss": torch.tensor(2.0)}) == {"mle/loss": 2.0}
    tracker.log_values(1, "x", torch.ones(3))
    tracker.close()
    assert list(tmp_path.iterdir()) == []
