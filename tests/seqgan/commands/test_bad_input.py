"""Bad input on the command line: one line that says what is wrong, exit status 2, and nothing left behind."""

import fcntl
import resource
import shutil

import pytest

from seqgan.runtime.checkpoint import FORMAT
from tests.command_line import run_process
from tests.tiny_run import ROOT, TINY

TEXT = str(ROOT / "seqgan" / "text" / "tiny.txt")
FILES = {
    "empty.txt": b"",
    "blank.txt": b"\n  \n",
    "binary.txt": bytes(range(256)),
    "latin.txt": b"plain\ncaf\xe9\n",
    "one.txt": b"One line only.\n",
    "distinct.txt": b"".join(b"w%d v%d\n" % (i, i) for i in range(50)),
    "broken.toml": b"[mle\n",
    "unknown.toml": b"[mle]\nepoch = 3\n",
    "type.toml": b"[mle]\nepochs = 'many'\n",
    "section.toml": b"mle = 3\n",
    "range.toml": b"[mle]\nepochs = -3\n",
    "broken.py": b"raise RuntimeError('broken on import')\n",
    "own.py": b"""
from seqgan.models.lstm import LSTMGenerator, LSTMSettings

class Unbuilt(LSTMGenerator):
    def __init__(self, settings: LSTMSettings):
        raise KeyError("two\\nlines")

class Unread(LSTMGenerator):
    def __init__(self, settings: LSTMSettings, *, vocabulary_size, bos_id):
        super().__init__(settings, vocabulary_size=vocabulary_size, bos_id=bos_id)

    def encode(self, inputs):
        return None

def corpus():
    raise ValueError("no text today")

def number():
    return 3

async def later():
    return None
""",
}


@pytest.fixture(name="fails")
def failing_command(cli, tmp_path, monkeypatch):
    """Runs a command that must fail in a folder of bad files, and gives its one line."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()

    def run(*arguments):
        before = sorted(path for path in tmp_path.rglob("*") if "data" not in path.parts)
        errors = cli.fails(*arguments)
        after = sorted(path for path in tmp_path.rglob("*") if "data" not in path.parts)
        assert [path for path in after if "__pycache__" not in path.parts] == before
        return errors

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--corpus.path", "missing.txt"],
            "missing.txt: cannot be read (from the folder {here}): No such file",
        ),
        (["--corpus.path", "empty.txt"], "empty.txt: is empty; it must hold one sequence a line"),
        (["--corpus.path", "blank.txt"], "blank.txt: is empty"),
        (["--corpus.path", "binary.txt"], "binary.txt: is binary (line 1, byte 0 is NUL); it must be UTF-8"),
        (["--corpus.path", "latin.txt"], "latin.txt: is not UTF-8 (line 2, byte 9: "),
        (
            ["--corpus.path", "one.txt"],
            "one.txt: of 1 distinct sequences, 1 for validation and 1 for test leave",
        ),
        (["--corpus.path", "folder"], "folder: cannot be read (from the folder {here}): Is a directory"),
        (["--corpus.path", "a\0b"], "a\\x00b: cannot be read (from the folder {here}): embedded null byte"),
        (["--corpus.path", "None"], "--corpus.path: names no file; it must be a text file"),
        (
            ["--corpus.path", "distinct.txt", "--corpus.min-count", "2"],
            "distinct.txt: --corpus.min-count 2 leaves no",
        ),
        (["--corpus.max-length", "2"], "tiny.txt: no line has fewer than --corpus.max-length 2 tokens"),
        (
            ["--corpus.validation-size", "5000"],
            "of 442 distinct sequences, 5000 for validation and 44 for test",
        ),
        (
            ["--corpus.validation-size", "0"],
            "--corpus.validation-size: 0.0 is out of range; it must be more than 0",
        ),
        (
            ["--corpus.tokenizer", "words"],
            "--corpus.tokenizer: no tokenizer 'words'; choose treebank, whitespace",
        ),
        (
            ["--corpus.kind", "web"],
            "--corpus.kind: no 'web'; choose coco, docstrings, file, oracle, table, tiny, package.module",
        ),
        (["--corpus.kind", "coco", "--corpus.path", "folder"], "folder/train.txt: cannot be read"),
        (
            ["--corpus.kind", "oracle", "--corpus.path", "missing.npz"],
            "missing.npz: not a readable .npz file",
        ),
        (["--corpus.kind", "oracle", "--corpus.path", "binary.txt"], "binary.txt: not a readable .npz file"),
        (["--preset", "huge"], "--preset: no 'huge'; choose coco, "),
        (["--preset"], "--preset: expected one argument"),
        (["--config", "missing.toml"], "missing.toml: cannot be read as TOML settings: "),
        (["--config", "broken.toml"], "broken.toml: cannot be read as TOML settings: "),
        (["--config", "folder"], "folder: cannot be read as TOML settings: "),
        (["--config", "latin.txt"], "latin.txt: cannot be read as TOML settings: "),
        (["--config", "unknown.toml"], "unknown.toml: unknown setting mle.epoch; did you mean mle.epochs?"),
        (["--config", "type.toml"], "type.toml: mle.epochs must be a whole number, not 'many'"),
        (["--config", "section.toml"], "section.toml: mle is a section, not 3"),
        (["--config", "range.toml"], "--mle.epochs: -3 is out of range; it must be at least 0"),
        (
            ["--mle.epoch", "3"],
            "there is no flag --mle.epoch; did you mean --mle.epochs? (see seqgan prepare --help)",
        ),
        (["--epochs=3"], "there is no flag --epochs; did you mean --mle.epochs?"),
        (["--zzzzzzz"], "there is no flag --zzzzzzz (see seqgan prepare --help)"),
        (
            ["--generator.num-heads", "3"],
            "no --generator.num-heads here: it belongs to --generator.kind transformer",
        ),
        (["stray"], "'stray' belongs to no flag"),
        (
            ["--mle.epochs", "many"],
            "--mle.epochs: 'many' is not a whole number",
        ),
        (["--mle.epochs"], "--mle.epochs: expected one argument"),
        (["--evaluation.criterion", "nll_test"], "--evaluation.criterion: nll_test is called nll here"),
        (
            ["--evaluation.criterion", "blue"],
            "--evaluation.criterion: no metric 'blue' with a better side; choose nll, jeffreys,",
        ),
        (
            ["--reward.kind", "length", "--rewards.a.kind", "length"],
            "--reward.kind: length stands beside --rewards.a; give all of them as --rewards.NAME.kind",
        ),
        (["--rewards.a.weight", "2"], "there is no flag --rewards.a.weight"),
        (
            ["--rewards.a.kind", "length", "--rewards.a.target", "0"],
            "--rewards.a.target: 0 is out of range; it must be at least 1",
        ),
        (
            ["--rewards.a.kind", "length", "--rewards.a.weight", "nan"],
            "--rewards.a.weight: nan is no finite number",
        ),
        (
            ["--rewards.a.kind", "lenght"],
            "--rewards.a.kind: no 'lenght'; choose bleu, discriminator, distinct,",
        ),
        (["--rewards.a-b.kind", "length"], "rewards.a-b: names may have letters and digits only"),
        (["--reward.kind", "pattern"], "reward pattern: there is no rule; give required or forbidden"),
        (
            ["--evaluation.criterion", "reward"],
            "--evaluation.criterion: the discriminator's reward changes as it learns; choose nll,",
        ),
        (["--mle.epochs", "-1"], "--mle.epochs: -1 is out of range; it must be at least 0"),
        (["--mle.learning-rate", "nan"], "--mle.learning-rate: nan is no finite number"),
        (
            ["--num-threads", "1000000"],
            "--num-threads: 1000000 is out of range; it must be at least 0 and at",
        ),
        (["--seed", "-1"], "--seed: -1 is out of range; it must be at least 0"),
        (
            ["--discriminator.widths", "1", "0"],
            "--discriminator.widths: 0 is out of range; it must be at least 1",
        ),
        (
            ["--discriminator.widths", "1", "2"],
            "--discriminator.num-filters: 3 numbers for 2 widths; give one for each",
        ),
        (["--discriminator.widths"], "--discriminator.num-filters: 3 numbers for 0 widths"),
        (
            ["--generator.kind", "transformer", "--generator.model-size", "10", "--generator.num-heads", "3"],
            "--generator.num-heads: 3 does not divide --generator.model-size 10",
        ),
        (
            ["--generator.kind", "transformer", "--generator.max-length", "8"],
            "--generator.max-length: 8 is too small for a sequence of 16 tokens",
        ),
        (
            ["--evaluation.criterion", "jeffreys"],
            "--evaluation.criterion: jeffreys needs an oracle, which --corpus.kind",
        ),
        (
            ["--generator.kind", "gru"],
            "--generator.kind: no 'gru'; choose lstm, transformer, package.module:name or file.py:name",
        ),
        (
            ["--generator.kind", "no.such:thing"],
            "--generator.kind: cannot import 'no.such:thing': ModuleNotFoundError",
        ),
        (["--generator.kind", "..a:b"], "--generator.kind: cannot import '..a:b': TypeError"),
        (
            ["--generator.kind", "broken:thing"],
            "cannot import 'broken:thing': RuntimeError: broken on import",
        ),
        (
            ["--generator.kind", "own.py:Unbuilt"],
            "own.py, line 6, in __init__: KeyError: 'two\\nlines'",
        ),
        (
            ["--generator.kind", "own.py:Unread"],
            "own.py:Unread: encode returned NoneType; it must return a tensor",
        ),
        (["--corpus.kind", "own.py:corpus"], "own.py, line 16, in corpus: no text today"),
        (["--corpus.kind", "own.py:number"], "own.py:number' returns a int, no PreparedCorpus"),
        (
            ["--corpus.kind", "own.py:later"],
            "{here}/own.py:later is an async function; it must be a plain one",
        ),
        (["--generator.kind", "os:path"], "--generator.kind: 'os:path' is no class or function"),
        (["--device", "tpu"], "--device: no 'tpu'; choose cpu, cuda, cuda:N or auto"),
        (["--device", "cuda:99"], "--device: cuda:99 is not there"),
        (["--generator.hidden-size", "100000000"], "out of memory, choose smaller sizes or batches: "),
        (["--data", "one.txt"], "one.txt/prepared/"),
    ],
)
def test_a_failed_start_leaves_no_run(fails, tmp_path, arguments, message):
    kind = ["--corpus.kind", "file"] if arguments[0] == "--corpus.path" else []
    assert message.format(here=tmp_path) in fails("prepare", *TINY, "--run", "runs/new", *kind, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretain"], "there is no command 'pretain'; did you mean pretrain?"),
        (
            ["x"],
            "there is no command 'x'; choose prepare, pretrain, train, generate, evaluate, sweep, ",
        ),
        (["generate"], "--run is missing (see seqgan generate --help)"),
        (["generate", "--run", "folder"], "--run: folder is no run folder (it has no config.toml)"),
        (["evaluate"], "evaluate: give either --run, or both --hypotheses and --references"),
        (["evaluate", "--hypotheses", TEXT], "evaluate: give either --run, or both"),
        (["evaluate", "--run", "folder", "--references", TEXT], "evaluate: give either --run, or both"),
        (
            ["evaluate", "--hypotheses", "one.txt", "--references", TEXT],
            "one.txt: holds one sentence; self-BLEU",
        ),
        (["evaluate", "--hypotheses", TEXT, "--references", "empty.txt"], "empty.txt: is empty"),
        (["evaluate", "--hypotheses", "binary.txt", "--references", TEXT], "binary.txt: is binary"),
        (["evaluate", "--hypotheses", TEXT, "--references", "latin.txt"], "latin.txt: is not UTF-8"),
        (
            ["evaluate", "--hypotheses", TEXT, "--references", TEXT, "--tokenizer", "x"],
            "--tokenizer: no tokenizer 'x'",
        ),
        (
            ["evaluate", "--hypotheses", TEXT, "--references", TEXT, "--top-k", "3"],
            "--top-k: goes with --run only",
        ),
        (
            ["evaluate", "--run", "folder", "--lower-case"],
            "--lower-case: goes with --hypotheses and --references",
        ),
    ],
)
def test_other_commands(fails, arguments, message):
    assert message in fails(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["generate", "--checkpoint", "nonsense"],
            "has no nonsense; there is mle-best, mle-last, adversarial-best",
        ),
        (["generate", "--top-p", "0"], "--top-p: 0.0 is out of range; it must be more than 0"),
        (["generate", "--top-p", "1.5"], "--top-p: 1.5 is out of range; it must be at most 1"),
        (["generate", "--top-k", "0"], "--top-k: 0 is out of range; it must be at least 1"),
        (["generate", "--temperature", "-1"], "--temperature: -1.0 is out of range; it must be at least 0"),
        (["generate", "--num-sentences", "0"], "--num-sentences: 0 is out of range; it must be at least 1"),
        (["generate", "--prefix", "The xyzzy"], "--prefix: 'xyzzy' is not in the vocabulary of the run"),
        (
            ["generate", "--prefix", "The " * 17],
            "--prefix: 17 tokens are too many; the run's sentences have at most 16",
        ),
        (["generate", "--output", "folder"], "folder"),
        (["generate", "--device", "cuda:99"], "--device: cuda:99 is not there"),
        (
            ["evaluate", "--checkpoint", "mle-best", "nonsense"],
            "has no nonsense; there is mle-best, mle-last",
        ),
        (["evaluate", "--temperature", "0"], "--temperature: 0.0 is out of range; it must be more than 0"),
        (["train", "--mle.epochs", "7"], "--mle.epochs: 7 differs from 2, with which"),
        (
            ["train", "--generator.kind", "transformer"],
            "--generator.kind: transformer differs from lstm, with which",
        ),
        (["train", "--preset", "docstrings"], "--corpus.kind: docstrings differs from tiny, with which"),
    ],
)
def test_of_a_finished_run(fails, finished_run, arguments, message):
    name, *rest = arguments
    assert message in fails(name, "--run", finished_run, *rest)


@pytest.mark.slow
def test_a_prefix_of_the_oracle_is_numbers(fails, cli):
    small = ["--corpus.num-train", "20", "--corpus.num-validation", "5", "--corpus.num-test", "5"]
    sizes = ["--corpus.vocabulary-size", "30", "--evaluation.num-samples", "9"]
    assert cli("prepare", "--preset", "oracle", "--run", "oracle", *small, *sizes, "--quiet") == ""
    error = fails("generate", "--run", "oracle", "--prefix", "5 word")
    assert "--prefix: 'word' is not in the vocabulary of the run; it may hold integers from 0 to 29" in error
    assert "oracle has no generator; there is none yet; pretrain first" in fails(
        "generate", "--run", "oracle"
    )


# Damaged runs.


def damage(path, how):
    content = path.read_bytes()
    middle = len(content) // 2
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[:middle])
        case "corrupted":
            path.write_bytes(
                content[:middle]
                + bytes(b ^ 0x55 for b in content[middle : middle + 64])
                + content[middle + 64 :]
            )
        case "noise":
            path.write_bytes(bytes(range(256)) * 8)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "corrupted", "noise"])
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("checkpoints/state.pt", "train"),
        ("checkpoints/adversarial-last.pt", "generate"),
        ("corpus/corpus.npz", "generate"),
        ("corpus/corpus.json", "evaluate"),
        ("corpus/vocabulary.json", "train"),
        ("config.toml", "generate"),
    ],
)
def test_a_damaged_run_is_named(fails, own_run, name, command, how):
    if how == "missing" and name.startswith("checkpoints"):
        return  # a run without a checkpoint starts anew, and without one generator there are others
    damage(own_run / name, how)
    error = fails(command, "--run", own_run)
    missing_run = name == "config.toml" and how == "missing"
    assert str(own_run if missing_run else (own_run / name).parent) in error


def test_half_a_settings_file_is_not_taken_for_a_whole_one(fails, own_run):
    text = (own_run / "config.toml").read_text()
    (own_run / "config.toml").write_text(text[: text.index("[algorithm]")])
    for command in ("train", "generate", "evaluate"):
        assert "config.toml: is damaged: its end is missing" in fails(command, "--run", own_run)


def test_a_run_of_another_version(fails, own_run):
    text = (own_run / "config.toml").read_text()
    (own_run / "config.toml").write_text(text.replace(f"format = {FORMAT}", "format = 99"))
    for command in ("train", "generate", "evaluate"):
        assert f"config.toml: run of format 99; this version reads format {FORMAT}" in fails(
            command, "--run", own_run
        )


@pytest.mark.slow
def test_a_generator_of_another_run(fails, cli, finished_run, tmp_path):
    assert cli("pretrain", *TINY, "--run", "other", "--generator.hidden-size", "9", "--quiet") == ""
    name = "checkpoints/mle-best.pt"
    shutil.copy(finished_run / name, tmp_path / "other" / name)
    error = fails("generate", "--run", "other", "--checkpoint", "mle-best")
    assert "mle-best.pt: does not fit the run's settings: " in error


# Folders, other processes, full disks.


@pytest.mark.slow
def test_another_process_at_the_same_run(fails, cli, own_run):
    with (own_run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for command in ("prepare", "pretrain", "train"):
            assert f"--run: another process is working on {own_run}" in fails(command, "--run", own_run)
        cli("generate", "--run", own_run, "--num-sentences", "1")  # reading is free


@pytest.mark.parametrize("run", [TEXT, f"{TEXT}/below", "/proc/run", "x" * 300])
def test_a_run_folder_that_cannot_be(fails, run):
    assert run in fails("prepare", *TINY, "--run", run)


def test_a_folder_that_was_there_stays(fails, tmp_path):
    (tmp_path / "mine").mkdir()
    fails("prepare", *TINY, "--run", "mine", "--corpus.kind", "file", "--corpus.path", "missing.txt")
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    fails(
        "prepare", *TINY, "--run", "mine/deeper/run", "--corpus.kind", "file", "--corpus.path", "missing.txt"
    )
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep"


def test_what_a_killed_process_left_is_removed(cli, own_run):
    (own_run / "checkpoints" / ".state.pt.abc.partial").write_bytes(b"half")
    cli("train", "--run", own_run, "--quiet")
    assert not list((own_run / "checkpoints").glob(".*"))


def limited(arguments, cwd, size):
    """A command that may write files of ``size`` bytes at most: to it, the disk is full."""
    return run_process(
        *arguments, cwd=cwd, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    )


@pytest.mark.slow
def test_a_full_disk_at_the_start_leaves_no_run(tmp_path):
    result = limited(["prepare", *TINY, "--run", "runs/new"], tmp_path, 4_000)
    assert result.returncode == 2
    assert result.stderr.startswith("seqgan: error: data/prepared/") and result.stderr.count("\n") == 1
    assert "cannot be written: File too large" in result.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_full_disk_while_training_loses_nothing(cli, tmp_path):
    """The checkpoint of the time before stays; with room again the run goes on to the same end."""
    small = 80_000  # the corpus fits, the checkpoint does not
    result = limited(["train", *TINY, "--run", "new"], tmp_path, small)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "checkpoints/" in result.stderr
    assert "cannot be written, what was there is unchanged: " in result.stderr
    assert not [path for path in (tmp_path / "new").rglob(".*") if path.is_file()]
    cli("pretrain", "--run", "new", "--quiet")


def test_an_evaluation_is_shown_even_if_it_cannot_be_kept(cli, own_run, caplog):
    shutil.rmtree(own_run / "evaluation")
    (own_run / "evaluation").write_text("in the way")
    assert "| BLEU-2" in cli("evaluate", "--run", own_run, "--checkpoint", "mle-best")
    assert "evaluation/mle-best.npz: cannot be written" in caplog.text
