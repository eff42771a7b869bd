"""The report of real runs: whole, alike whenever it is made, and true to what was measured."""

import base64
import csv
import importlib
import re
import shutil
from pathlib import Path

import pytest

from leakgan.catalogue import CATALOGUE
from seqgan.cli import main, parse
from seqgan.config.schema import to_settings
from seqgan.config.toml import flatten
from seqgan.evaluation.metrics import EVALUATION
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.experiment.measurements import measure
from seqgan.reports.tables import SUMMARY
from seqgan.studies.neighbours import Neighbourhood
from tests.html_page import read_page
from tests.tiny_run import SETTINGS, flags, tiny_experiment

pytestmark = pytest.mark.slow

TINY = ["--preset", "tiny", *flags(), "--quiet"]
WAYS = ["--temperatures", "0.5", "1"]
ORACLE = {
    "kind": "oracle",
    **{"vocabulary_size": 30, "max_length": 6, "num_train": 60, "num_validation": 20, "num_test": 40},
}
EVIL = "<script>alert(1)</script> & | *bold*"


@pytest.fixture(scope="module", name="folder")
def finished_runs(tmp_path_factory):
    """Two seeds, a control that starts from the first, and LeakGAN short of its last phase; reported on."""
    folder = tmp_path_factory.mktemp("report")
    data = ["--data", str(folder / "data")]
    control = ["--pretrained", str(folder / "one"), "--estimator.control", "random"]
    for name, more in {"one": [], "two": ["--seed", "1"], "control": control}.items():
        assert main(["train", *TINY, *data, "--run", str(folder / name), *more]) == 0
    leaked = tiny_experiment(folder / "leaked", {"mle": {"epochs": 1}}, catalogue=CATALOGUE)
    leaked.pretrain()
    leaked.loop.tracker.close()
    runs = [f"--run={folder / name}" for name in ("one", "two", "control", "leaked")]
    assert main(["report", *runs, "--output", str(folder / "out" / "all.html"), *WAYS, "--quiet"]) == 0
    return folder


@pytest.fixture(name="root")
def page_of_all(folder):
    return read_page((folder / "out" / "all.html").read_text(encoding="utf-8"))


def rows_of(table):
    return [[cell for cell in row.children if not isinstance(cell, str)] for row in table.all("tr")]


def first_line(cell):
    return cell.children[0] if cell.children else ""


def sections(root):
    return {section.all("h2")[0].text: section for section in root.all("section") if section.all("h2")}


def test_the_page_has_all_parts_in_order(root, folder):
    assert root.all("h1")[0].text == "Runs one, two, control, leaked"
    assert list(sections(root)) == [
        *("In short", "What the generators reach", "Over seeds", "Differences"),
        *("Quality against diversity", "Learning curves", "Samples", "Alarms", "Settings", "Commands"),
    ]
    for image in root.all("img"):  # white cards would blind in dark mode
        svg = base64.b64decode(image.attributes["src"].partition(",")[2]).decode()
        assert 'fill: #ffffff"' not in svg
    assert {path.name for path in (folder / "out").iterdir()} == {"all.html", "all.md", "all.csv"}
    images = {title: len(section.all("img")) for title, section in sections(root).items()}
    assert [images[t] for t in ("In short", "Quality against diversity", "Learning curves")] == [1, 2, 7]


def test_numbers_are_those_that_were_measured(root, folder):
    table = root.all("table")[0]
    header, *rows = rows_of(table)
    titles = [f"{first_line(cell)}|{cell.all('small')[0].text}" for cell in header[1:]]
    assert titles[0] == "MLE|one, control" and titles[-1] == "training text|baseline"
    checked = 0
    for run, generator, title in [
        ("one", "mle-best", "MLE|one, control"),
        ("two", "mle-best", "MLE|two"),
        ("leaked", "mle-best", "MLE|leaked"),
        ("one", "ngram", "5-grams|baseline"),
    ]:
        score = measure(open_run(folder / run), generator).score
        place = 1 + titles.index(title)
        for row in rows:
            (name,) = [n for n in SUMMARY if EVALUATION[n].meaning == first_line(row[0])]
            assert float(first_line(row[place])) == pytest.approx(score.values[name], abs=5e-5, rel=1e-3)
            notes = [small.text for small in row[place].all("small")]
            assert bool(notes) == (name in score.standard_errors)
            if notes:
                expected = 1.96 * score.standard_errors[name]
                assert float(notes[0].removeprefix("± ")) == pytest.approx(expected, abs=5e-5, rel=1e-2)
            checked += 1
    assert checked == 4 * (len(SUMMARY) - 2)  # of which two need an oracle


def test_a_column_of_another_signature_says_so(root, folder):
    header = rows_of(root.all("table")[0])[0]
    odd = [first_line(cell) for cell in header if "signature B" in cell.text]
    assert odd == ["training text"]
    legend = {row[0].text: row[1].text for row in rows_of(root.all("table")[1])[1:]}
    assert legend["A"] == str(measure(open_run(folder / "one"), "mle-best").score.signature)
    assert legend["B"] == str(measure(open_run(folder / "one"), "training-text").score.signature)
    assert any("signatures differ in temperature:" in c.text for c in root.all("figcaption"))


def test_markdown_and_csv_hold_the_same_numbers(root, folder):
    lines = (folder / "out" / "all.md").read_text(encoding="utf-8").splitlines()
    cells = [re.sub(r"\s+", " ", cell.text) for row in rows_of(root.all("table")[0]) for cell in row]
    plain = re.sub(r"\\(.)", r"\1", "".join(lines)).replace(" ", "")
    assert all(cell.replace(" ", "") in plain for cell in cells)
    with (folder / "out" / "all.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:3]:
        score = measure(open_run(Path(row["run"])), row["generator"]).score
        assert {name for name in EVALUATION if row.get(name)} == set(score.values)
        assert all(float(row[name]) == value for name, value in score.values.items())
        assert row["signature"] == str(score.signature)
    keys = [(row["run"], row["generator"], row["temperature"]) for row in rows]
    assert len(keys) == len(set(keys))
    cool = [row for row in rows if row["temperature"] == "0.5"]
    assert {row["label"] for row in cool} >= {"one: MLE", "leaked: MLE", "5-grams"}


def test_seeds_are_summed_up_and_differences_told(root):
    found = sections(root)
    assert found["Over seeds"].all("figcaption")[0].text.startswith("one, two: mean ± standard deviation")
    header, *rows = rows_of(found["Differences"].all("table")[0])
    assert [cell.text for cell in header[1:]] == [
        *(f"{run}: adversarial − MLE" for run in ("one", "two", "control")),
        *(f"{run}: adversarial − one: adversarial" for run in ("two", "control")),
        "leaked: MLE − one: adversarial",
    ]
    for row in rows:
        for cell in row[1:]:
            value, low, high = map(float, re.findall(r"[-+]\d+\.\d+", cell.text))
            verdict = cell.attributes.get("class", "")
            assert low <= value <= high
            assert bool(verdict) == (low > 0 or high < 0) or 0 in (low, high)
            assert cell.text.endswith(verdict)


def test_samples_stand_beside_their_nearest_training_sentence(root, folder):
    experiment = open_run(folder / "one")
    cards = [e for e in sections(root)["Samples"].all("section") if e.attributes.get("class") == "card"]
    assert [first_line(card.all("h3")[0]) for card in cards][-2:] == ["5-grams", "test text"]
    training = {
        experiment.language.decode(ids.tolist())
        for ids in map(experiment.corpus.train.__getitem__, range(354))
    }
    for card in cards:
        assert len(card.all("li")) == 10
        for item in card.all("li"):
            sentence, nearest = item.all("p")
            assert (
                "".join(c if isinstance(c, str) else c.text for c in nearest.children[:-1]).strip()
                in training
            )
            assert ("a copy" in nearest.text) == (sentence.text in training)
    kept = measure(experiment, "mle-best").sentences
    assert [item.all("p")[0].text for item in cards[0].all("li")] == list(kept[:10])


def test_commands_make_the_runs_and_the_report_again(root, folder):
    lines = sections(root)["Commands"].all("code")[0].text.splitlines()
    assert [line.split()[:2] for line in lines] == [
        *(["seqgan", "train"], ["seqgan", "train"], ["seqgan", "train"], ["leakgan", "train"]),
        ["seqgan", "report"],
    ]
    trained = [parse("train", line.split()[2:], SEQGAN).settings for line in lines[:3]]
    assert trained == [open_run(folder / name).settings for name in ("one", "two", "control")]
    parsed = parse("report", lines[-1].split()[2:], SEQGAN)
    assert parsed.run == tuple(folder / name for name in ("one", "two", "control", "leaked"))
    assert (parsed.temperatures, parsed.output) == ((0.5, 1.0), folder / "out" / "all.html")


def test_settings_are_those_of_the_first_and_what_differs(root, folder):
    table, text = sections(root)["Settings"].all("table")[0], sections(root)["Settings"].all("code")[0].text
    rows = [[cell.text for cell in row] for row in rows_of(table)]
    assert rows[:4] == [["setting", "one", "here"], ["two"], ["seed", "0", "1"], ["control"]]
    assert ["estimator.control", "none", "random"] in rows and ["package", "seqgan", "leakgan"] in rows
    config = open_run(folder / "one").settings
    for name in flatten(to_settings(config)):
        assert f"{name.split('.')[-1]} = " in text


def test_made_again_it_is_the_same_and_nothing_is_measured_again(folder, tmp_path):
    """The first report was made of fresh measurements, this one of those that were kept."""
    runs = [f"--run={folder / name}" for name in ("one", "two", "control", "leaked")]
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("evaluation/*")}
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    assert main(["report", *runs, "--output", str(folder / "out" / "all.html"), *WAYS, "--quiet"]) == 0
    assert before == {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    assert kept == {path: path.stat().st_mtime_ns for path in folder.rglob("evaluation/*")}


def test_an_oracles_task_has_its_divergences_and_the_oracle(tmp_path, capsys):
    small = {"discriminator": {"widths": [1], "num_filters": [4]}, "adversarial": {"rounds": 1}}
    config = SEQGAN.load({**SETTINGS, "corpus": ORACLE, **small})
    experiment = Experiment(config, tmp_path / "run")
    experiment.train()
    experiment.loop.tracker.close()
    assert (
        main(["report", "--run", str(tmp_path / "run"), "--output", str(tmp_path / "r.html"), *WAYS[::2]])
        == 0
    )
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / f"r.{end}") for end in ("html", "md", "csv")
    ]
    root = read_page((tmp_path / "r.html").read_text(encoding="utf-8"))
    header, *rows = rows_of(root.all("table")[0])
    assert first_line(header[-1]) == "the oracle itself"
    assert [first_line(row[0]) for row in rows[:2]] == ["NLL-oracle", "NLL-test"]
    assert any("Jeffreys" in image.attributes["alt"] for image in root.all("img"))
    assert root.all("h1")[0].text == "Run run"


def test_sentences_of_the_corpus_are_no_markup(tmp_path, capsys):
    words = ["<script>alert(1)</script>", "<b>", "&amp;", "|", "*x*", "`y`"]
    text = "".join(f"{a} {b} {c}\n" for a in words for b in words for c in words)
    (tmp_path / "text.txt").write_text(text)
    corpus = {"kind": "file", "path": str(tmp_path / "text.txt"), "tokenizer": "whitespace", "min_count": 1}
    layer = {"corpus": corpus, "mle": {"epochs": 1}}
    experiment = tiny_experiment(tmp_path / "<i>run", layer)
    experiment.loop.run(1)
    experiment.loop.tracker.close()
    output = ["--output", str(tmp_path / "r.html"), "--no-pictures", "--quiet"]
    assert main(["report", "--run", str(tmp_path / "<i>run"), *output]) == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    root = read_page(text)
    assert "<script" not in text and "<i>" not in text
    assert any("<script>alert(1)</script>" in item.text for item in root.all("li"))
    assert (
        "<script" not in re.sub(r"\\<", "", (tmp_path / "r.md").read_text(encoding="utf-8")).split("```")[0]
    )
    assert "Differences" not in sections(root) and "Quality against diversity" not in sections(root)


def test_an_unknown_word_stays_one_token(folder):
    experiment = open_run(folder / "one")
    neighbourhood = Neighbourhood(experiment.corpus, experiment.language)
    copied = experiment.language.decode(experiment.corpus.train[5].tolist())
    assert neighbourhood.sample(copied).distance == 0
    _, *others = copied.split(" ")
    assert neighbourhood.sample(" ".join(["<unk>", *others])).distance == 1
    assert neighbourhood.sample("").distance == min(experiment.corpus.train.lengths) - 1


def test_without_matplotlib_there_are_no_drawings_but_all_else(folder, tmp_path, monkeypatch, capsys):
    import_module = importlib.import_module

    def without(name):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return import_module(name)

    monkeypatch.setattr("importlib.import_module", without)
    command = ["report", "--run", str(folder / "one"), "--output", str(tmp_path / "r.html"), "--quiet"]
    assert main(command) == 2
    assert "pictures need matplotlib" in capsys.readouterr().err and not list(tmp_path.iterdir())
    assert main([*command, "--no-pictures"]) == 0
    root = read_page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "pictures need matplotlib" in sections(root)["Learning curves"].text and not root.all("img")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "one", "--output", "r.pdf"], "--output: r.pdf does not end in .html"),
        (["--run", "one", "--output", "folder.html"], "--output: folder.html is a folder; name a file"),
        (["--run", "one", "--output", "one/config.toml/r.html"], "one/config.toml/r.csv: cannot be written"),
        (["--run", "nothing"], "--run: nothing is no run folder"),
        (["--run", "fresh"], "--run: fresh has no generator yet; pretrain first"),
        (["--run", "one", "--checkpoint", "gone"], "--checkpoint: one has no gone; there is mle-best, "),
        (["--run", "one", "--run", "elsewhere"], "elsewhere and one have different corpora"),
        (
            ["--run", "one", "--num-samples", "101"],
            "--num-samples: 101 is out of range; it must be at least 0",
        ),
        (["--run", "one", "--temperatures", "0"], "--temperatures: 0.0 is out of range"),
        (["--run", "one", "--device", "tpu"], "--device: no 'tpu'"),
        ([], "--run"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    folder, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "one", "one")
    tiny_experiment(tmp_path / "fresh")
    tiny_experiment(tmp_path / "elsewhere", {"corpus": {"split_seed": 1}})
    (tmp_path / "folder.html").mkdir()
    files = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    assert main(["report", *arguments, "--no-pictures"]) == 2
    output, errors = capsys.readouterr()
    assert output == "" and errors.count("\n") == 1
    assert errors.startswith("seqgan: error: ") and message in errors
    assert [path for path in sorted(tmp_path.rglob("*")) if "evaluation" not in path.parts] == [
        path for path in files if "evaluation" not in path.parts
    ]
