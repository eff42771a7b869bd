"""The command line in use: every command, its help, its settings and what it prints."""

import contextlib
import dataclasses
import fcntl
import io
import json
import os
import pty
import re
import shlex
import stat
import struct
import subprocess
import sys
import termios
import tomllib

import numpy as np
import pytest

from seqgan.cli import COMMANDS, main
from seqgan.commands.arguments import command_line as next_command
from seqgan.commands.train import print_sentences
from seqgan.config.schema import flag_name, to_settings
from seqgan.config.toml import flatten, read_toml, to_toml
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import open_run
from seqgan.runtime import terminal
from seqgan.runtime.tracking import read_rows
from seqgan.training.alarms import Alarms
from tests.command_line import command, environment, run_process
from tests.references.bleu import nltk_bleu, nltk_self_bleu
from tests.tiny_run import ROOT, TINY, tiny_experiment

SENTENCES = [
    "the cat sat on the mat .",
    "a dog ran in the park .",
    "the cat ran on the mat .",
    "one bird",
    "",
]
REFERENCES = ["the cat sat on a mat .", "a dog ran in the green park .", "a bird sat in the park .", "one"]


# Commands.


@pytest.mark.slow
def test_prepare_reports_and_starts_a_run(cli, tmp_path):
    output = cli("prepare", *TINY, "--run", "new")
    assert "442 lines: 0 blank, 0 too long" in output
    assert "train: 354 sequences" in output
    assert "advice: 354 training sequences are few" in output
    assert "go on with: seqgan train --run new" in output
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"config.toml", "corpus"}
    assert len(list((tmp_path / "data" / "prepared").iterdir())) == 1
    assert cli("prepare", "--run", "new") == output  # again, from the run folder alone
    assert cli("prepare", "--run", "new", "--quiet") == ""


@pytest.mark.slow
def test_pretrain_then_train_by_the_run_alone(cli, tmp_path):
    output = cli("pretrain", *TINY, "--run", "new")
    lines = output.splitlines()
    assert re.match(r"mle: 2 of 2 rounds in \d+ s, .*nll_validation \d", lines[0])
    assert re.match(r"discriminator: 2 of 2 rounds in \d+ s, .*auc_held_out \d", lines[1])
    assert lines[2:] == ["new: pre-training is done; go on with: seqgan train --run new"]
    assert {path.stem for path in (tmp_path / "new" / "checkpoints").iterdir()} == {
        "state",
        "mle-best",
        "mle-last",
        "pretrained",
    }
    assert "new: all is done; and now:\n" in cli("train", "--run", "new")
    assert "new: all is done already; and now:\n" in cli("train", "--run", "new")


@pytest.mark.slow
def test_train_prints_ten_sentences_each_one_table_and_how_to_watch(cli, own_run):
    """Of a finished run: all is read back, nothing is trained or measured again."""
    before = {path: path.stat().st_mtime_ns for path in (own_run / "evaluation").iterdir()}
    output = cli("train", "--run", own_run)
    assert before == {path: path.stat().st_mtime_ns for path in (own_run / "evaluation").iterdir()}
    sentences = re.findall(r"^  .*$", output.partition("\n|")[0], re.MULTILINE)
    assert len(sentences) == 20
    saved = json.loads((own_run / "evaluation" / "mle-best.json").read_text())
    known = [sentence.strip() for sentence in saved["sentences"] if "<unk>" not in sentence]
    assert [line.strip() for line in sentences[:10]] == known[:10]
    header, _, *rows = (line for line in output.splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in header.split("|")[1:-1]] == ["", "MLE", "adversarial", "change"]
    assert len(rows) == 8
    assert len({len(row) for row in rows}) == 1
    (row,) = (line for line in rows if "test" in line and f"{saved['nll_test']:.3f}" in line)
    assert row.split("|")[4].strip() in ("better", "worse", "no clear change")
    assert output.count("signature: hypotheses:40|references:44|tokenizer:treebank") == 1
    assert f"\nUnknown words among all words: MLE {saved['unknown']:.1%}, adversarial " in output
    assert output.endswith(
        f"{own_run}: all is done already; and now:\n"
        f"  seqgan generate --run {own_run} --no-unknown\n"
        f"  seqgan report --run {own_run}\n"
        f"  tensorboard --logdir {own_run}\n"
    )


def test_train_ends_with_the_alarms_that_rang(cli, own_run, monkeypatch):
    monkeypatch.setattr(Alarms, "summary", lambda self: ["rang at step 1", "rang at step 2"])
    lines = cli("train", "--run", own_run).splitlines()
    place = lines.index("alarm: rang at step 1")
    assert lines[place + 1 : place + 3] == [
        "alarm: rang at step 2",
        f"{own_run}: all is done already; and now:",
    ]


@pytest.mark.slow
def test_what_a_reward_and_a_metric_of_ones_own_have_become_is_said_at_the_end(cli, tmp_path, finished_run):
    """The reward is 1.5 for every token, so that its mean is 1.5 times the mean length."""
    (tmp_path / "own.py").write_text(
        "from torch import where\n\n\n"
        "class Longer:\n    def __call__(self, batch):\n        return where(batch.mask, 1.5, 0.0)\n\n\n"
        "def exclamations(sentences, references):\n"
        '    """Share of sentences that end in an exclamation mark."""\n'
        "    return [float(sentence.endswith('!')) for sentence in sentences]\n"
    )
    own = (
        "--reward.kind",
        "own.py:Longer",
        "--estimator.kind",
        "returns",
        "--evaluation.metrics",
        "own.py:exclamations",
    )
    output = cli("train", "--run", "run", "--pretrained", finished_run, *own)
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in output.splitlines() if row[:1] == "|"]
    assert table[-2][0].startswith("Share of sentences that end in an exclamation mark")
    label, *found, change = table[-1]
    rows = [row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["phase"] == "adversarial"]
    rewards = [row["evaluation/reward"] for row in rows if "evaluation/reward" in row]
    lengths = [row["evaluation/mean_length"] for row in rows if "evaluation/mean_length" in row]
    assert (label, len(table)) == ("mean reward of samples", 2 + 9)
    assert (
        found == [f"{rewards[0]:.3f}", f"{rewards[-1]:.3f}"] and change == f"{rewards[-1] - rewards[0]:+.3f}"
    )
    for reward, length in zip(rewards, lengths, strict=True):
        tokens = 20 * reward / 1.5  # of all 20 samples
        assert tokens == pytest.approx(round(tokens), abs=1e-3)
        assert abs(tokens / 20 - 1 - length) < 4  # that of other samples, without EOS


@pytest.mark.slow
def test_several_rewards_are_named_in_flags_rows_and_the_closing_table(cli, tmp_path, finished_run):
    flags = "--rewards.0.kind length --rewards.0.target 3 --rewards.0.weight 2 --rewards.rule.kind pattern"
    flags += " --rewards.rule.forbidden \\. --rewards.judge.kind discriminator --rewards.judge.final-weight 0"
    start = ("--run", "run", "--pretrained", finished_run, "--estimator.kind", "returns")
    output = cli("train", *start, *flags.split())
    labels = [row.split("|")[1].strip() for row in output.splitlines() if row[:1] == "|"][-3:]
    assert labels == [
        "held-out AUC of the discriminator (0.5: guessing)",
        "mean reward 0 of samples",
        "mean reward rule of samples",
    ]
    rows = [row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["phase"] == "adversarial"]
    steps = [row for row in rows if "reward/part_rule" in row]
    assert steps and all(0 <= row["reward/part_0"] <= 1 for row in steps)
    assert [row["reward/weight_judge"] for row in steps][-1] == 0
    first = next(row for row in rows if "evaluation/reward" in row)
    length, rule, judge = (first[f"evaluation/reward_{name}"] for name in ("0", "rule", "judge"))
    assert first["evaluation/reward"] == pytest.approx(2 * length + rule + judge, abs=1e-5)
    assert cli("train", "--run", "run").splitlines()[-4].endswith("all is done already; and now:")
    assert "--rewards.rule.forbidden" in cli("train", "--run", "run", "--help-all")


@pytest.mark.parametrize(
    ("program", "scripts", "package", "expected"),
    [
        ("/usr/bin/seqgan", None, "seqgan", "seqgan train --run 'a b'"),
        ("/usr/bin/leakgan", None, "leakgan", "leakgan train --run 'a b'"),
        ("/lib/seqgan/__main__.py", None, "seqgan", "python -m seqgan train --run 'a b'"),
        ("/lib/seqgan/__main__.py", "../scripts", "seqgan", "../scripts/train.sh --run 'a b'"),
        ("/lib/leakgan/__main__.py", "scripts", "leakgan", "scripts/train.sh leakgan --run 'a b'"),
    ],
)
def test_what_to_do_next_is_said_in_the_way_of_the_call(monkeypatch, program, scripts, package, expected):
    monkeypatch.setattr(sys, "argv", [program])
    if scripts is not None:
        monkeypatch.setenv("SEQGAN_SCRIPTS", scripts)
    assert next_command("train", "--run", "a b", package=package) == expected


def test_a_damaged_evaluation_is_made_again(cli, own_run):
    path = own_run / "evaluation" / "mle-best.json"
    good = json.loads(path.read_text())
    path.write_text("{", encoding="utf-8")
    cli("train", "--run", own_run, "--quiet")
    assert json.loads(path.read_text()) == good


def test_generate_to_standard_output_is_reproducible(cli, finished_run):
    lines = cli("generate", "--run", finished_run).splitlines()
    assert len(lines) == 10
    assert cli("generate", "--run", finished_run, "--seed", "0").splitlines() == lines
    assert cli("generate", "--run", finished_run, "--seed", "1").splitlines() != lines
    assert cli("generate", "--run", finished_run, "--checkpoint", "mle-best").splitlines() != lines


def test_generate_to_a_file(cli, finished_run, tmp_path):
    command = ("generate", "--run", finished_run, "--num-sentences", "7")
    assert cli(*command, "--output", "new/sentences.txt") == ""
    assert (tmp_path / "new" / "sentences.txt").read_text() == cli(*command)


def test_generate_leaves_a_device_a_device(cli, finished_run, tmp_path):
    """Written by renaming, /dev/null would become a file."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    cli("generate", "--run", finished_run, "--output", "pipe")
    assert len(os.read(reader, 100_000).splitlines()) == 10
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    (tmp_path / "link").symlink_to("target.txt")
    cli("generate", "--run", finished_run, "--output", "link")
    assert len((tmp_path / "target.txt").read_text().splitlines()) == 10
    cli("text", "--run", finished_run, "--output", "pipe")
    assert os.read(reader, 100_000).startswith(b"The") and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    (tmp_path / "target.txt").write_text("")
    cli("text", "--run", finished_run, "--output", "link")
    assert (tmp_path / "link").is_symlink() and len((tmp_path / "target.txt").read_text()) > 100


@pytest.mark.slow
def test_generate_in_chunks_repeats_nothing(cli, finished_run, monkeypatch):
    monkeypatch.setattr("seqgan.commands.generate.CHUNK", 20)
    lines = cli("generate", "--run", finished_run, "--num-sentences", "50").splitlines()
    assert len(lines) == 50
    assert lines[:10] != lines[20:30]
    other_seed = cli("generate", "--run", finished_run, "--num-sentences", "50", "--seed", "20").splitlines()
    assert not set(lines[20:40]) & set(other_seed[:20])


def test_generate_shapes_the_distribution(cli, finished_run):
    assert len(set(cli("generate", "--run", finished_run, "--temperature", "0").splitlines())) == 1
    greedy = cli("generate", "--run", finished_run, "--temperature", "0")
    assert cli("generate", "--run", finished_run, "--top-k", "1") == greedy
    assert cli("generate", "--run", finished_run, "--top-p", "1e-9") == greedy
    assert cli("generate", "--run", finished_run, "--top-p", "0.3") != cli("generate", "--run", finished_run)


def test_generate_keeps_the_prefix_and_detokenises_on_demand(cli, finished_run):
    command = ("generate", "--run", finished_run, "--prefix", "The girl, the tall boy")
    tokens, text = cli(*command, "--tokens").splitlines(), cli(*command).splitlines()
    assert len(tokens) == len(text) == 10
    assert all(line.startswith("The girl , the tall boy") for line in tokens)
    assert all(line.startswith("The girl, the tall boy") for line in text)


@pytest.mark.slow
def test_evaluate_a_run(cli, own_run):
    results = json.loads(cli("evaluate", "--run", own_run, "--json"))
    assert list(results) == ["mle-best", "mle-last", "adversarial-best", "adversarial-last"]
    for name, values in results.items():
        saved = json.loads((own_run / "evaluation" / f"{name}.json").read_text())
        about = {"generator": name, "decoding": {"temperature": 1.0, "top_k": None, "top_p": None}}
        kept = {
            name: saved[name]
            for name in ("sentences", "labels", "fingerprint", "sentence_values", "checksum")
        }
        assert {**values, **about, **kept} == saved
    cooler = json.loads(
        cli("evaluate", "--run", own_run, "--checkpoint", "mle-best", "--temperature", "0.5", "--json")
    )
    assert list(cooler) == ["mle-best"]
    assert cooler["mle-best"]["entropy"] < results["mle-best"]["entropy"]
    assert "temperature:0.5" in cooler["mle-best"]["signature"]
    saved = json.loads((own_run / "evaluation" / "mle-best.json").read_text())
    assert saved["entropy"] == results["mle-best"]["entropy"]  # another temperature is kept elsewhere


@pytest.mark.parametrize("tokenizer", ["treebank", "whitespace", "characters"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_evaluate_two_files_as_nltk_does(cli, tmp_path, tokenizer):
    (tmp_path / "h.txt").write_text("\n".join(SENTENCES) + "\n")
    (tmp_path / "r.txt").write_text("\n\n".join(REFERENCES) + "\n")
    output = cli(
        "evaluate", "--hypotheses", "h.txt", "--references", "r.txt", "--tokenizer", tokenizer, "--json"
    )
    (values,) = json.loads(output).values()
    assert output.count("\n") == 1
    cut = list if tokenizer == "characters" else str.split
    hypotheses, references = [cut(s) for s in SENTENCES], [cut(s) for s in REFERENCES]
    for order in range(2, 6):
        expected = np.mean([nltk_bleu(references, h, (order,)) for h in hypotheses])
        assert values[f"bleu_{order}"] == pytest.approx(expected, abs=1e-9)
        expected = np.mean(nltk_self_bleu(hypotheses, (order,)))
        assert values[f"self_bleu_{order}"] == pytest.approx(expected, abs=1e-9)
    assert values["signature"].startswith(f"hypotheses:5|references:4|tokenizer:{tokenizer}|case:kept|")


def test_evaluate_two_files_for_people(cli, tmp_path):
    (tmp_path / "h.txt").write_text("THE CAT SAT ON A MAT .\n" * 2)
    (tmp_path / "r.txt").write_text("the cat sat on a mat .\n")
    command = ("evaluate", "--hypotheses", "h.txt", "--references", "r.txt")
    assert re.search(r"\| BLEU-2 \(higher\) +\| +1\.0000 \|", cli(*command, "--lower-case"))
    output = cli(*command)
    assert not re.search(r"BLEU-2 \(higher\) +\| +1\.0000", output)
    assert "| self-BLEU-5 (lower)" in output
    assert "signature: hypotheses:2|references:1|" in output


# Settings.


@pytest.mark.slow
def test_config_round_trip(cli, tmp_path):
    first = cli("config", *TINY, "--corpus.max-vocabulary-size", "200", "--algorithm.advantage-clip", "3")
    (tmp_path / "mine.toml").write_text(first)
    assert cli("config", "--config", "mine.toml") == first  # over another preset, which it leaves nothing of
    again = cli("config", "--preset", "coco-transformer", "--config", "mine.toml")
    assert again == first
    assert SEQGAN.load(tomllib.loads(first)).corpus.max_vocabulary_size == 200
    listed = cli("config", "--list").splitlines()
    assert [line.split()[0] for line in listed] == SEQGAN.preset_names()
    assert all(len(line.split()) > 4 for line in listed)  # what each is for


@pytest.mark.slow
@pytest.mark.parametrize("preset", SEQGAN.preset_names())
def test_config_shows_what_a_preset_means(cli, preset):
    assert SEQGAN.load(tomllib.loads(cli("config", "--preset", preset))) == SEQGAN.load_preset(preset)


@pytest.mark.slow
def test_no_value_survives_in_a_run(cli, tmp_path):
    """TOML has no null; a setting that is switched off must not come back with its default."""
    (tmp_path / "off.toml").write_text(
        "[algorithm]\nadvantage_clip = 2.0\n[corpus]\nmax_vocabulary_size = 300\n"
    )
    off = ["--algorithm.advantage-clip", "none", "--corpus.max-vocabulary-size", "none"]
    cli("prepare", *TINY, "--config", "off.toml", "--run", "new", *off)
    cli("prepare", *TINY, "--config", "off.toml", "--run", "new", *off)
    settings = read_toml(tmp_path / "new" / "config.toml")
    assert settings["algorithm"]["advantage_clip"] == settings["corpus"]["max_vocabulary_size"] == "none"
    assert cli("config", "--run", "new") == to_toml(
        {key: value for key, value in settings.items() if key not in ("format", "package")}
    )


def test_flags_over_the_file_over_the_preset(cli, tmp_path):
    (tmp_path / "mine.toml").write_text("[mle]\nepochs = 3\nbatch_size = 7\n")
    preset = SEQGAN.load_preset("tiny")
    output = cli("config", "--preset", "tiny", "--config", "mine.toml", "--mle.epochs", "4")
    config = SEQGAN.load(tomllib.loads(output))
    assert config.mle == dataclasses.replace(preset.mle, epochs=4, batch_size=7)
    assert dataclasses.replace(config, mle=preset.mle) == preset


@pytest.mark.slow
def test_kinds_decide_which_flags_there_are(cli, tmp_path):
    (tmp_path / "mine.toml").write_text('[generator]\nkind = "transformer"\nnum_heads = 4\n')
    for source in (
        ["--generator.kind", "transformer"],
        ["--config", "mine.toml"],
        ["--generator.kind=transformer"],
    ):
        assert "--generator.num-heads" in cli("train", *source, "--help-all")
        output = cli("config", *source, "--generator.num-heads", "8", "--generator.model-size", "64")
        assert tomllib.loads(output)["generator"]["num_heads"] == 8
    assert "--generator.num-heads" not in cli("train", "--help-all")
    lstm = cli("config", "--config", "mine.toml", "--generator.kind", "lstm")
    assert "num_heads" not in tomllib.loads(lstm)["generator"]


def test_a_run_goes_on_with_its_own_settings(cli, finished_run):
    settings = read_toml(finished_run / "config.toml")
    del settings["format"], settings["package"]
    assert tomllib.loads(cli("config", "--run", finished_run)) == settings
    changed = tomllib.loads(cli("config", "--run", finished_run, "--tracking.log-interval", "9"))
    assert changed["tracking"]["log_interval"] == 9


@pytest.mark.slow
def test_the_settings_of_a_run_serve_another(cli, finished_run, tmp_path):
    """By its config.toml, or with its pre-training."""
    settings = read_toml(finished_run / "config.toml")
    del settings["format"], settings["package"]
    assert tomllib.loads(cli("config", "--config", finished_run / "config.toml")) == settings
    assert tomllib.loads(cli("config", "--pretrained", finished_run)) == settings
    flags_of_a_control = ["--estimator.control", "shuffled"]
    cli("train", "--pretrained", finished_run, "--run", "control", "--quiet", *flags_of_a_control)
    control = read_toml(tmp_path / "control" / "config.toml")
    assert control["estimator"]["control"] == "shuffled"
    assert control["mle"] == settings["mle"]


def test_modules_of_the_working_directory_are_found(cli, tmp_path, monkeypatch):
    """By the console script too, whose first place to look is the folder that it lies in."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    (tmp_path / "of_ones_own.py").write_text("def short(completions, **columns):\n    return [0.0]\n")
    output = cli("config", *TINY, "--reward.kind", "of_ones_own:short")
    assert tomllib.loads(output)["reward"]["kind"] == "of_ones_own:short"


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_part_of_the_corpus_is_written_as_text(cli, finished_run, tmp_path, part):
    experiment = open_run(finished_run)
    sequences = experiment.corpus.sequences(part)
    lines = [experiment.language.decode(sequences[n].tolist()) for n in range(len(sequences))]
    assert cli("text", "--run", finished_run, "--part", part).splitlines() == lines
    assert cli("text", "--run", finished_run, "--part", part, "--output", "part.txt") == ""
    assert (tmp_path / "part.txt").read_text().splitlines() == lines


# Help.


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_explains_every_flag(cli, command):
    output = cli(command, "--help")
    assert COMMANDS[command] in output
    if "--help-all" in output:
        output = cli(command, "--help-all")
    flags = re.findall(
        r"^  (--[a-z.-]+)(.*\n(?:    .*\n)*)", output, re.MULTILINE
    )  # wrapped lines are indented
    assert len(flags) > 3
    for flag, meaning in flags:
        words = re.sub(r"^ (X|\[X \.\.\.\])(?=\s)|, -h", "", meaning).partition("(default:")[0].split()
        assert len(words) >= (1 if flag.endswith(".kind") else 2), flag


@pytest.mark.slow
def test_the_short_help_shows_what_people_change_and_the_long_one_all(cli):
    short, long = cli("train", "--help"), cli("train", "--help-all")
    assert len(short.splitlines()) < 100 < len(long.splitlines())
    for flag in ("--run", "--preset", "--mle.epochs", "--adversarial.rounds", "--reward.kind", "--help-all"):
        assert f"  {flag}" in short
    assert "--mle.prior-precision" in long and "--mle.prior-precision" not in short
    defaults = flatten(to_settings(SEQGAN.load_preset("docstrings")))
    for name in defaults:
        flag = flag_name(name)
        section, _, last = flag.rpartition(".")
        assert f"  {flag}" in long or f"  {section}.no-{last}" in long, flag


def test_a_flag_that_turns_something_off_says_so(cli):
    words = " ".join(cli("generate", "--help").split())
    assert "--no-unknown Turn this off: Let <unk> stand for" in words
    assert "--quiet Show no progress bars" in " ".join(cli("train", "--help").split())


def test_help_names_kinds_and_how_to_see_presets(cli):
    output = cli("train", "--help")
    for name in ("lstm, transformer", "package.module:name", "file.py:name", "reinforce", "candidates"):
        assert name in " ".join(output.split())
    assert "``" not in output and ":class:" not in output
    assert cli("--help") == cli("-h")
    assert all(name in cli("--help") for name in (*COMMANDS, "config --list"))


# As processes.


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_a_short_answer_imports_nothing_large(tmp_path, flag):
    code = f"import sys; from seqgan.cli import main; main(['{flag}'])"
    code += "; print({'torch', 'numpy'} & {*sys.modules})"
    process = [sys.executable, "-c", code]
    result = subprocess.run(
        process, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("\nset()\n")


@pytest.mark.slow
def test_module_and_console_script(tmp_path, finished_run):
    result = run_process("generate", "--run", finished_run, "--num-sentences", 3, cwd=tmp_path)
    assert (result.returncode, len(result.stdout.splitlines()), result.stderr) == (0, 3, "")
    result = run_process(cwd=tmp_path)
    assert result.returncode == 2 and result.stdout.startswith("usage: seqgan COMMAND")
    result = run_process("--version", cwd=tmp_path)
    assert re.fullmatch(r"seqgan \d+\.\d+\.\d+\n", result.stdout)
    assert "seqgan = seqgan.cli:main" in (ROOT / "setup.cfg").read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_reader_that_leaves_and_a_full_output(tmp_path, finished_run):
    sentences = shlex.join(command("generate", "--run", finished_run, "--num-sentences", 3000))
    for sink, status, message in (("| head -1", 141, ""), ("> /dev/full", 2, "No space left on device")):
        script = f"{sentences} {sink}; exit ${{PIPESTATUS[0]}}"
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status
        assert message in result.stderr and result.stderr.count("\n") == bool(message)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path, closed):
    script = f"{shlex.join(command('config', '--list'))} {closed}"
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_control_characters_of_a_corpus_never_reach_a_terminal(tmp_path, monkeypatch, capfd):
    """In a file and behind a pipe the text is what it was."""
    (tmp_path / "text").write_text("".join(f"\x1b[3{n % 8}m a{n % 5} b{n % 7}\n" for n in range(200)))
    corpus = {"kind": "file", "path": str(tmp_path / "text"), "tokenizer": "whitespace", "min_count": 1}
    experiment = tiny_experiment(tmp_path / "run", {"corpus": corpus})
    experiment.save_generator("best", "mle")

    def printed(name):
        capfd.readouterr()
        assert main([name, "--run", str(tmp_path / "run")]) == 0
        return capfd.readouterr().out

    assert "begins with: \\x1b[3" in (output := printed("prepare")) and "\x1b" not in output
    for name in ("text", "generate"):
        assert "\x1b[3" in printed(name)
    with monkeypatch.context() as patch:
        for name in ("text", "generate"):
            patch.setattr(f"seqgan.commands.{name}.for_output", terminal.printable)
            assert "\\x1b[3" in (output := printed(name)) and "\x1b" not in output
    print_sentences("MLE", ["\x1b[2J"])
    assert capfd.readouterr().out == "\nMLE\n  \\x1b[2J\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch, *arguments):
    """What a command writes on standard error when that is a terminal."""
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert main([str(argument) for argument in arguments]) == 0
    return terminal.getvalue()


@pytest.mark.slow
def test_progress_bars_on_a_terminal_only_and_not_when_quiet(monkeypatch, cli):
    assert on_terminal(monkeypatch, "train", *TINY, "--run", "new", "--quiet") == ""
    assert on_terminal(monkeypatch, "prepare", *TINY, "--run", "other") == ""
    assert "evaluate: " in on_terminal(monkeypatch, "evaluate", "--run", "new")
    assert on_terminal(monkeypatch, "evaluate", "--run", "new", "--quiet") == ""
    assert "generate: 100%" in on_terminal(monkeypatch, "generate", "--run", "new", "--output", "x.txt")
    assert on_terminal(monkeypatch, "generate", "--run", "new") == ""  # sentences are progress enough


@pytest.mark.slow
def test_a_phase_without_steps_shows_nothing(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    none = ["--discriminator-training.refreshes", "0"]
    shown = on_terminal(monkeypatch, "pretrain", *TINY, *none, "--run", "new")
    assert "mle: round 2/2" in shown
    assert "discriminator" not in shown and "0it" not in shown


@pytest.mark.slow
def test_progress_bars_on_a_real_terminal(tmp_path):
    main_end, their_end = pty.openpty()
    fcntl.ioctl(their_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    seen = b""
    with subprocess.Popen(
        command("train", *TINY),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=their_end,
    ) as process:
        os.close(their_end)
        with contextlib.suppress(OSError):  # the other end is closed
            while True:
                seen += os.read(main_end, 10_000)
    os.close(main_end)
    assert process.returncode == 0
    figures = {"mle": "nll_validation=", "discriminator": "auc_held_out=", "adversarial": "reward="}
    for phase, figure in figures.items():
        assert re.search(rf"{phase}: round \d+/\d+ +\d+%.*{figure}", seen.decode()), phase
    assert "evaluate: " in seen.decode()


@pytest.mark.slow
def test_generate_without_unknown_words(cli, tmp_path):
    """Nine words in ten of the training text are unknown here, and still none is written."""
    cli("pretrain", *TINY, "--corpus.max-vocabulary-size", "30", "--run", tmp_path / "run", "--quiet")
    command = ("generate", "--run", tmp_path / "run", "--num-sentences", "50", "--tokens")
    assert "<unk>" in cli(*command)
    assert "<unk>" not in cli(*command, "--no-unknown")
