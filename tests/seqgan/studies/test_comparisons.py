"""Controls and tables: what is trained, from where, what is printed of it, and that it can be interrupted."""

import contextlib
import csv
import io
import itertools
import json
import math
import shlex
import statistics
from pathlib import Path

import pytest

from seqgan import cli
from seqgan.config.toml import flatten, read_toml
from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.mixture import MixtureGenerator, fit_weight
from seqgan.evaluation.signature import Score, Signature
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import open_run
from seqgan.experiment.measurements import measure
from seqgan.runtime.tracking import encode_row, read_rows
from seqgan.sampling.decoding import Decoding
from seqgan.studies import controls, processes, reproduce, table
from tests.tiny_run import ROOT, SETTINGS, flags

pytestmark = pytest.mark.slow

FAST = {
    **SETTINGS,
    "mle": {"epochs": 1},
    "discriminator_training": {"refreshes": 1, "epochs": 1},
    "estimator": {"num_rollouts": 2},
    "adversarial": {"rounds": 1, "policy_steps": 2, "discriminator_refreshes": 1},
    "algorithm": {"learning_rate": 0.02},
    "evaluation": {"num_samples": 60, "num_samples_in_training": 20},
}
ORACLE = {
    **{key: value for key, value in FAST.items() if key != "corpus"},
    "corpus.kind": "oracle",
    **{f"corpus.num_{part}": 40 for part in ("train", "validation", "test")},
    "corpus.vocabulary_size": 30,
    "corpus.max_length": 6,
}
FLAGS = ["--preset", "tiny", *flags(FAST), "--reward.transform", "logit", "--quiet"]
NAMES = ["algorithm", "constant", "random", "shuffled", "frozen"]
ROWS = ["MLE", "MLE + n-grams", "algorithm", "algorithm + n-grams", *NAMES[1:]]


def run_in_process(calls, change=lambda arguments: arguments):
    """In the place of a process: notes the arguments, and runs the command here."""

    def call(*command, show=True):
        flag, package, *arguments = command
        assert flag == "-m"
        calls.append(arguments)
        status = cli.main([*change(arguments), "--quiet"], package=package)
        if status:
            raise processes.Stopped(status)

    return call


def output(*command):
    """In the place of a process whose output is read."""
    _, package, *arguments = command
    with contextlib.redirect_stdout(io.StringIO()) as text:
        status = cli.main(arguments, package=package)
    if status:
        raise processes.Stopped(status)
    return text.getvalue()


@pytest.fixture(autouse=True, scope="module", name="patched")
def no_processes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "output", output)
        yield


def main(module, *arguments):
    return processes.main(module.__name__.rpartition(".")[2], module.main, [*map(str, arguments)])


@pytest.fixture(name="done", scope="module")
def finished_comparison(tmp_path_factory, patched):
    """Two seeds of the tiny preset, stopped in the third run and gone on with."""
    runs, calls = tmp_path_factory.mktemp("controls") / "runs", []
    comparison = controls.Comparison(package="seqgan", runs=runs, flags=FLAGS, seeds=2)
    with pytest.MonkeyPatch.context() as patch:
        train = run_in_process(calls)

        def stopped(*command, show=True):
            if len(calls) == 2:
                raise processes.Stopped(143)
            train(*command)

        patch.setattr(processes, "call", stopped)
        with pytest.raises(processes.Stopped):
            comparison.train()
        assert len(list(runs.iterdir())) == 2
        calls.clear()
        patch.setattr(processes, "call", train)
        comparison.train()
    return comparison, calls


def own_seed(call):
    return call[call.index("--seed") + 1]


def settings_of(run):
    return flatten(read_toml(run / "config.toml"))


def test_each_control_differs_from_the_algorithm_in_what_it_controls_and_shares_its_pretraining(done):
    comparison, calls = done
    assert [call[call.index("--run") + 1] for call in calls] == [
        str(comparison.runs / f"{name}-seed{seed}") for seed in (0, 1) for name in NAMES
    ]
    for call in calls:
        own, first = call[call.index("--run") + 1], str(comparison.runs / f"algorithm-seed{own_seed(call)}")
        assert ("--pretrained" in call) == (own != first)
        assert own == first or call[call.index("--pretrained") + 1] == first
    expected = {
        **{name: {"estimator.control": name} for name in ("constant", "random", "shuffled")},
        "frozen": {"adversarial.discriminator_refreshes": 0},
    }
    before = {0: {}, 1: {}}
    for seed in (0, 1):
        base = settings_of(comparison.path("algorithm", seed))
        assert (base["seed"], base["estimator.control"], base["reward.transform"]) == (seed, "none", "logit")
        for name, changed in expected.items():
            run = comparison.path(name, seed)
            found = settings_of(run)
            assert {k: v for k, v in found.items() if base.get(k) != v} == changed
            before[seed][name] = measure(open_run(run), "mle-best").score.values
        assert all(values == before[seed]["random"] for values in before[seed].values())
    assert before[0]["random"] != before[1]["random"]


def row_of(text, title):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_report_shows_what_the_runs_measured(done):
    comparison, _ = done
    text = controls.report(comparison)
    header, *_ = text.splitlines()
    titles = "NLL-test | BLEU-5 | self-BLEU-5 | BLEU-5 F1 | MS-Jaccard-4 | reverse perplexity | held-out AUC"
    assert header == f"| seqgan, 2 seeds | {titles} |"
    nll = {}
    for name in NAMES:
        paths = [comparison.runs / f"{name}-seed{seed}" for seed in (0, 1)]
        kept = [json.loads((path / "evaluation" / "adversarial-last.json").read_text()) for path in paths]
        cells = row_of(text, name)
        for metric, digits, cell in (("nll_test", 3, cells[0]), ("reverse_perplexity", 1, cells[5])):
            first, second = (content[metric] for content in kept)
            deviation = abs(first - second) / math.sqrt(2)
            assert cell == f"{(first + second) / 2:.{digits}f} ± {deviation:.{digits}f}"
        nll[name] = [content["nll_test"] for content in kept]
        rows = [read_rows(path / "metrics.jsonl") for path in paths]
        aucs = [
            [row["discriminator/auc_held_out"] for row in run if "discriminator/auc_held_out" in row]
            for run in rows
        ]
        if name == "frozen":
            assert cells[6] == "–"
        else:
            assert all(len(found) > 1 for found in aucs)  # before, and in the one round
            assert cells[6].startswith(f"{(aucs[0][-1] + aucs[1][-1]) / 2:.3f} ± ")
    assert row_of(text, "MLE")[6] == "–"
    best = min(NAMES[1:], key=lambda name: sum(nll[name]))
    gains = [control - own for own, control in zip(nll["algorithm"], nll[best], strict=True)]
    pooled = math.sqrt((statistics.variance(nll["algorithm"]) + statistics.variance(nll[best])) / 2)
    cells = next(line for line in text.splitlines() if line.startswith("| NLL-test |")).split(" | ")[1:]
    mean = sum(gains) / 2
    assert cells[:4] == [best, f"{mean:+.4f}", f"{pooled:.4f}", f"{mean / pooled:+.1f}"]
    assert cells[4] == f"{mean:+.4f} ± {abs(gains[0] - gains[1]) / math.sqrt(2):.4f}"
    assert text.splitlines()[-1].startswith("`signature: hypotheses:60|references:44|")


def test_the_mixture_with_n_grams_is_a_bar_of_its_own(done):
    """Each share is the best on validation text; gains over the mixture are those of the printed values."""
    comparison, _ = done
    found = comparison.measure()
    assert list(found.rows) == ROWS
    for row, name in (("MLE", "mle-best"), ("algorithm", "adversarial-last")):
        for seed, mixed in enumerate(found.rows[f"{row} + n-grams"]):
            run = open_run(comparison.path("algorithm", seed))
            validation = run.materials.validation
            best = fit_weight(run.load_generator(name), run.ngram, validation)
            mixture = MixtureGenerator(run.load_generator(name), run.ngram, best)
            assert mixed.values["ngram_share"] == best > 0
            assert mixed.values["nll_test"] == nll(mixture, run.materials.split("test")).value
            assert mixed.values["nll_test"] < found.rows[row][seed].values["nll_test"]
    text = controls.report(comparison, ["nll_test"])
    values = {row: [score.values["nll_test"] for score in scores] for row, scores in found.rows.items()}
    line = next(line for line in text.splitlines() if line.startswith("| NLL-test |"))
    last = [cell.split(" ± ")[0] for cell in line.strip("| ").split(" | ")[6:]]
    pairs = [("algorithm", "MLE"), ("algorithm", "MLE + n-grams"), ("algorithm + n-grams", "MLE + n-grams")]
    assert last == [f"{statistics.mean(values[b]) - statistics.mean(values[a]):+.4f}" for a, b in pairs]
    shares = [score.values["ngram_share"] for score in found.rows["MLE + n-grams"]]
    assert f"Shares of the n-grams: MLE {statistics.mean(shares):.2f} ± " in text


def test_under_the_tables_stands_what_they_rest_on(done):
    text = controls.report(done[0])
    assert "standard deviation over training seeds on one draw of data" in text
    assert "Actions were judged by Monte-Carlo rollouts, 2 for each prefix." in text


def test_all_figures_are_kept_as_csv(done):
    comparison, _ = done
    controls.report(comparison)
    rows = list(csv.DictReader((comparison.runs / "controls.csv").read_text().splitlines()))
    assert [(row["row"], row["seed"]) for row in rows] == list(itertools.product(ROWS, ["0", "1"]))
    score = measure(open_run(comparison.path("random", 1)), "adversarial-last").score
    row = rows[2 * ROWS.index("random") + 1]
    assert {name: float(row[name]) for name in score.values} == score.values
    assert row["signature"] == str(score.signature)


def test_called_again_it_trains_nothing_and_says_the_same(done, monkeypatch, capsys):
    comparison, _ = done
    before = {path: path.stat().st_mtime_ns for path in comparison.runs.glob("*/checkpoints/*")}
    monkeypatch.setattr(processes, "call", run_in_process([]))
    arguments = [
        "seqgan",
        *FLAGS,
        "--runs",
        comparison.runs,
        "--seeds",
        2,
        "--metrics",
        "nll_test",
        "mean_length",
    ]
    assert main(controls, *arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert {path: path.stat().st_mtime_ns for path in comparison.runs.glob("*/checkpoints/*")} == before
    assert printed.out == controls.report(comparison, ["nll_test", "mean_length"]) + "\n"
    assert printed.out.count("| mean length |") == 1  # a column; no side is better, hence no gain
    assert main(controls, *arguments, "--mle.epochs", 3) == 2
    assert "--mle.epochs: 3 differs from 1" in capsys.readouterr().err


def test_one_seed_has_no_deviation(done):
    comparison, _ = done
    text = controls.report(controls.Comparison(package="seqgan", runs=comparison.runs, flags=FLAGS))
    assert "±" not in text.replace("Mean ±", "")
    assert "One seed: there is no standard deviation" in text
    line = next(line for line in text.splitlines() if line.startswith("| NLL-test |"))
    assert line.split(" | ")[3:5] == ["–", "–"]


def test_runs_that_differ_by_their_seed_make_one_row(done, monkeypatch, capsys):
    comparison, _ = done
    runs = [comparison.path(name, seed) for seed in (0, 1) for name in ("algorithm", "constant")]
    other = measure(open_run(runs[0]), "adversarial-last", Decoding(temperature=0.5))  # beside, and left out
    assert main(table, *runs, "--metrics", "nll_test", "bleu_4") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| generator | NLL-test | BLEU-4 |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        "| algorithm, mle-best",
        "| algorithm, adversarial-last",
        "| constant, adversarial-last",
    ]
    assert not lines[5]
    first, second = (score.values["nll_test"] for score in comparison.measure().rows["algorithm"])
    spread = f"{(first + second) / 2:.3f} ± {abs(first - second) / math.sqrt(2):.3f}"
    assert lines[3].split(" | ")[1] == spread
    assert lines[-1].count("temperature:1|") == 1
    assert main(table, comparison.path("random", 1)) == 0
    assert "| random-seed1, adversarial-last | " in capsys.readouterr().out
    assert other.score.values["nll_test"] != first


def test_the_auc_is_the_last_of_the_adversarial_phase(tmp_path):
    def auc(*rows):
        text = "".join(encode_row({"step": 1, "phase": phase, **values}) for phase, values in rows)
        (tmp_path / "metrics.jsonl").write_text(text)
        return controls.last_auc(tmp_path)

    name = "discriminator/auc_held_out"
    before, first, last = (
        ("discriminator", {name: 0.9}),
        ("adversarial", {name: 0.8}),
        ("adversarial", {name: 0.7}),
    )
    assert (
        auc(before, first, last, ("adversarial", {"policy/loss": 1.0}), ("adversarial", {name: None})) == 0.7
    )
    assert auc(before, first) == 0.8
    assert math.isnan(auc(before))


def test_the_share_of_unknown_words_stands_under_every_table_of_text():
    shares = {"a": [0.02, 0.04], "b": [0.5], "real": []}
    rows = {row: [Score({"unknown": value}, Signature()) for value in found] for row, found in shares.items()}
    assert "Unknown words among all words: a 3.0%, b 50.0%." in table.ScoreTable(rows).notes()
    of_integers = table.ScoreTable({"a": [Score({"bleu_2": 1.0}, Signature())]})
    assert "Unknown words" not in of_integers.notes()


def test_columns_are_titled_shortly_and_what_is_missing_shows():
    signature = Signature(hypotheses=1)
    rows = {"a": [Score({"kl_q_p": 1.0}, signature), Score({"kl_q_p": 2.0, "jeffreys": 1.0}, signature)]}
    assert table.ScoreTable(rows).markdown(["kl_q_p", "jeffreys", "bleu_f1_5"]).splitlines() == [
        "|  | KL(generator to data) | Jeffreys | BLEU-5 F1 |",
        "|---|---:|---:|---:|",
        "| a | 1.500 ± 0.707 | – | – |",
    ]


def rows_for(package="seqgan", *more):
    return controls.Comparison(
        package=package, runs=ROOT / "runs", flags=["--preset", "oracle", *more]
    ).rows()


def test_controls_change_what_they_control_and_nothing_else():
    more = ["--reward.transform=probability", "--mle.epochs", "3"]
    rows = rows_for("seqgan", *more)
    assert rows["algorithm"] == ["--preset", "oracle", *more]
    for control in ("constant", "random", "shuffled"):
        assert rows[control] == [*rows["algorithm"], "--estimator.control", control]
    assert rows["frozen"] == [*rows["algorithm"], "--adversarial.discriminator-refreshes", "0"]
    assert "frozen" not in rows_for("seqgan", "--adversarial.discriminator-refreshes", "0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--preset"),
        (["--preset", "tinny"], "--preset: no 'tinny'; choose "),
        (["--preset", "tiny", "--seeds", "0"], "--seeds: 0 is out of range; it must be at least 1"),
        (["--preset", "tiny", "--seed=1"], "--seed: is set for each run; give --runs and --seeds instead"),
        (["--preset", "tiny", "--mle.epoch", "1"], "did you mean --mle.epochs?"),
        (["--preset", "tiny", "--mle.epochs", "-1"], "--mle.epochs: -1 is out of range"),
        (["--preset", "tiny", "--metrics", "bleu_9"], "no metric 'bleu_9'"),
        (["--preset", "tiny", "--estimator.control", "random"], "--estimator.control: random is a control"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_trained(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "call", run_in_process([]))
    assert main(controls, "seqgan", *arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert errors.startswith(("controls: error: ", "seqgan: error: "))
    assert message in errors
    assert not list(tmp_path.iterdir())


def test_where_runs_go_by_default(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(controls, "report", lambda comparison, asked: comparison.runs)
    monkeypatch.setattr(processes, "call", lambda *command, show: None)
    for package, folder in (("seqgan", "runs/controls-tiny"), ("leakgan", "runs/controls-leakgan-tiny")):
        assert main(controls, package, "--preset", "tiny") == 0
        printed = capsys.readouterr()
        assert printed.out == f"{folder}\n"
        assert printed.err.count("\n") == 15  # what it starts


def small(arguments):
    """The presets of the tables, made small."""
    at = arguments.index("--preset")
    assert arguments[at + 2] == "--corpus.path"
    kept = arguments[:at] + arguments[at + 4 :]
    return [*kept[:1], "--preset", "tiny", *flags(ORACLE), *kept[1:]]


@pytest.fixture(name="oracle_runs", scope="module")
def runs_of_the_oracle_task(tmp_path_factory):
    return tmp_path_factory.mktemp("reproduce")


def nll_test(run, name, temperature=1.0):
    """As the table shows it, of a run in this folder."""
    found = measure(open_run(Path("runs/reproduce-oracle") / run), name, Decoding(temperature=temperature))
    return f"{found.score.values['nll_test']:.3f}"


def mean_nll_test(row, name, temperature=1.0):
    """Over the seeds of a row."""
    return sum(float(nll_test(f"{row}-seed{seed}", name, temperature)) for seed in (0, 1)) / 2


def means(lines, column):
    """What stands before ± in a column of a table's lines."""
    return [float(line.split(" | ")[column].split(" ± ")[0]) for line in lines]


@pytest.mark.parametrize("name", ["oracle", "temperatures", "leakgan-oracle"])
def test_tables_have_the_rows_and_columns_of_the_pages(name, oracle_runs, monkeypatch, capsys):
    calls = []
    monkeypatch.chdir(oracle_runs)
    monkeypatch.setattr(processes, "call", run_in_process(calls, small))
    monkeypatch.setattr(reproduce, "SEEDS", 2)
    assert main(reproduce, name, "x") == 0
    assert all(call[call.index("--corpus.path") + 1] == "x" for call in calls)
    printed = capsys.readouterr().out.splitlines()
    head = printed[0]
    rows = [line.split(" | ")[0] for line in printed[2 : printed.index("")]]
    pages = "\n\n".join(page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))).splitlines()
    at = pages.index(head)
    assert pages[at + 1] == printed[1]
    written = [line.split(" | ")[0].removesuffix(", one seed") for line in pages[at + 2 : at + 2 + len(rows)]]
    # The pages' controls are those of 0.1.0, which replaced rewards; made again they act on advantages.
    assert written == [row.replace(" advantages", " reward") for row in rows]
    assert not pages[at + 2 + len(rows)]
    if name == "oracle":
        assert [call[0] for call in calls] == ["pretrain", "train", "train"]
        assert calls[0][1:3] == ["--preset", "oracle-paper"]
        assert printed[3].count("±") == 3
        assert printed[2].count("±") == 0
        assert any("temperature:0.85" in line for line in printed)
        assert printed[6].endswith("| 0.000 |")  # Jeffreys of the oracle itself
        assert printed[2].split(" | ")[2] == nll_test("official", "mle-last")
        assert means(printed[3:6], column=2) == pytest.approx(
            [
                mean_nll_test("seqgan/algorithm", "mle-best"),
                mean_nll_test("seqgan/algorithm", "adversarial-last"),
                mean_nll_test("seqgan/algorithm", "adversarial-last", 0.85),
            ],
            abs=1e-3,
        )
    elif name == "temperatures":
        assert [call[0] for call in calls] == ["train", "train"]
        expected = mean_nll_test("seqgan/algorithm", "mle-best", 0.5)
        assert means(printed[7:8], column=1) == [pytest.approx(expected, abs=1e-3)]
    else:
        assert [call[call.index("--run") + 1] for call in calls] == [
            f"runs/reproduce-oracle/{run}-seed{seed}"
            for runs in (
                ["seqgan/algorithm"],
                [f"leakgan/{r}" for r in ("algorithm", "constant", "shuffled")],
            )
            for seed in (0, 1)
            for run in runs
        ]
        assert all("±" in line for line in printed[2:8])
        assert means(printed[2:8], column=2) == pytest.approx(
            [
                mean_nll_test("seqgan/algorithm", "mle-best"),
                mean_nll_test("seqgan/algorithm", "adversarial-last"),
                mean_nll_test("leakgan/algorithm", "mle-best"),
                mean_nll_test("leakgan/algorithm", "adversarial-last"),
                mean_nll_test("leakgan/constant", "adversarial-last"),
                mean_nll_test("leakgan/shuffled", "adversarial-last"),
            ],
            abs=1e-3,
        )


def test_every_table_starts_what_makes_it(monkeypatch):
    calls = []
    monkeypatch.setattr(processes, "call", lambda *command, show=True: calls.append(command))
    for arguments in (["docstrings"], ["texygen", "coco"], ["texygen", "coco", "samples"]):
        assert main(reproduce, *arguments) == 0
    assert calls == [
        ("-m", "seqgan", "train", "--preset", "docstrings"),
        ("-m", "seqgan.studies.texygen", "coco"),
        ("-m", "seqgan.studies.texygen", "coco", "samples"),
    ]


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["controls", "x"], "runs/reproduce-oracle/seqgan"),
        (["controls-docstrings"], "runs/controls-docstrings"),
    ],
)
def test_the_controls_of_the_readme_are_three_seeds_of_four(arguments, folder, monkeypatch):
    calls = []
    monkeypatch.setattr(processes, "call", lambda *command, show=True: calls.append(command))
    monkeypatch.setattr(reproduce, "report", lambda comparison: "")
    assert main(reproduce, *arguments) == 0
    assert len(calls) == 3 * 5
    assert {call[call.index("--run") + 1].rpartition("/")[0] for call in calls} == {folder}


def test_the_ceiling_differs_from_the_preset_in_reward_and_estimator_alone(monkeypatch):
    calls, plans = [], []
    monkeypatch.setattr(processes, "call", lambda *command, show=True: calls.append(command[3:]))
    monkeypatch.setattr(reproduce, "show", lambda plan, metrics, corner: plans.append(plan))
    assert main(reproduce, "ceiling", "x") == 0
    preset = ["--preset", "oracle", "--corpus.path", "x"]
    true_reward = ["--reward.kind", "oracle", "--algorithm.kl-weight", "0"]
    of_returns = ["--reward.per-token", "--estimator.kind", "returns", "--algorithm.whiten"]
    folder, expected = "runs/reproduce-oracle/seqgan", []
    for name, more in (
        ("algorithm", []),
        ("true-reward-candidates", true_reward),
        ("true-reward-returns", [*true_reward, *of_returns]),
    ):
        for seed in "012":
            shared = [] if name == "algorithm" else ["--pretrained", f"{folder}/algorithm-seed{seed}"]
            run = ["--run", f"{folder}/{name}-seed{seed}", "--seed", seed]
            expected.append((*preset, *more, *run, *shared))
    assert calls == expected
    (plan,) = plans
    assert {title: sources[0].generator for title, sources in plan.items()} == {
        "MLE": "mle-best",
        "discriminator, candidates (the preset)": "adversarial-last",
        "true reward, candidates": "adversarial-last",
        "true reward, returns": "adversarial-last",
        "the oracle itself": "oracle",
    }
    for command in calls:
        cli.parse("train", command, SEQGAN)


@pytest.mark.parametrize("arguments", [["tiny", "x"], ["oracle"], ["docstrings", "x"], ["texygen", *"abc"]])
def test_a_table_that_cannot_be_made_is_one_line(arguments, capsys):
    assert main(reproduce, *arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("reproduce: error: ")
    assert errors.count("\n") == 1


def test_without_a_name_the_tables_are_listed(capsys):
    assert main(reproduce) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert [line.split()[0] for line in errors.splitlines()[1:]] == list(reproduce.TARGETS)
    assert main(reproduce, "--help") == 0
    assert capsys.readouterr().out == errors


def test_the_calls_in_the_pages_are_right():
    text = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line.startswith("scripts/reproduce.sh ")
    ]
    calls = [words for line in lines if len(words := shlex.split(line, comments=True)) > 1]  # alone, it lists
    assert len(calls) > 3
    for _, name, *arguments in calls:
        assert reproduce.TARGETS[name].takes(len(arguments)), name
