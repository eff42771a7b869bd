import json

import numpy as np
import pytest

from seqgan.text.batching import Batches
from seqgan.text.files_corpus import prepare_files
from seqgan.text.prepared import PARTS, PreparedCorpus
from seqgan.text.table_corpus import TableCorpusSettings, prepare_table, read_prompts, read_table
from tests.tables import rows_of, sums, table_settings, write_table
from tests.text_files import file_settings, words

FORMATS = ("a.jsonl", "a.csv", "a.tsv", "a.jsonl.gz", "a.csv.gz")


@pytest.fixture(name="corpus")
def prepared(tmp_path):
    return prepare_table(table_settings(tmp_path / "a.jsonl", sums(80)))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_corpus(corpus, tmp_path, name):
    assert prepare_table(table_settings(tmp_path / name, sums(80))).digest == corpus.digest


def test_prompt_completion_and_columns_of_a_row_stay_together(corpus):
    found = [row for part in PARTS for row in rows_of(corpus, part)]
    assert sorted(found) == sorted((r["prompt"], r["completion"], r["sum"]) for r in sums(80))
    assert [len(corpus.part(part)) for part in PARTS] == [64, 8, 8]
    assert corpus.columns == ["prompt", "completion", "sum"]
    context = corpus.part("train").context
    assert context.columns["completion"] == words(corpus, "train")
    assert all(ids[-1] == corpus.vocabulary.eos_id for ids in (corpus.train[row] for row in range(64)))
    assert corpus.vocabulary.eos_id not in context.prompts.ids


def test_rows_that_are_left_out_take_their_prompts_and_columns_with_them(tmp_path):
    rows = sums(60)
    for row in rows[::3]:
        row["completion"] = "  " if row["sum"] == "4" else row["completion"] + " word" * 10
    rows[1]["prompt"] += " and" * 9
    corpus = prepare_table(table_settings(tmp_path / "a.jsonl", rows, max_length=5, max_prompt_length=6))
    kept = [row for number, row in enumerate(rows) if number % 3 and number != 1]
    found = [(prompt, total) for part in PARTS for prompt, _, total in rows_of(corpus, part)]
    assert sorted(found) == sorted((row["prompt"], row["sum"]) for row in kept)
    assert corpus.counts["long_prompts"] == 1


def test_a_truncated_prompt_keeps_its_end(tmp_path):
    rows = [{**row, "prompt": f"a b c d {row['prompt']}"} for row in sums(40)]
    settings = table_settings(tmp_path / "a.jsonl", rows, max_prompt_length=4, long_sequences="truncate")
    corpus = prepare_table(settings)
    assert {prompt for prompt, _, _ in rows_of(corpus, "train")} <= {f"d {row['prompt']}" for row in sums(40)}
    assert corpus.max_prompt_length == corpus.report["train/longest_prompt"] == 4
    assert all(corpus.train[row][-1] == corpus.vocabulary.eos_id for row in range(len(corpus.train)))


def test_without_prompts_the_completions_are_a_corpus_of_lines(tmp_path):
    rows = [{"completion": row["completion"], "sum": row["sum"]} for row in sums(80)]
    corpus = prepare_table(table_settings(tmp_path / "a.csv", rows))
    lines = "\n".join(row["completion"] for row in rows)
    assert corpus.digest == prepare_files(file_settings(tmp_path / "a.txt", lines)).digest
    assert not corpus.has_prompts and corpus.columns == [] and corpus.max_prompt_length == 0


def test_equal_completions_of_other_prompts_are_no_copies(corpus, tmp_path):
    assert len(set(words(corpus, "train"))) < 30
    assert corpus.report["train/duplicates"] == corpus.report["test/in_train"] == 0
    twice = prepare_table(table_settings(tmp_path / "b.jsonl", [*sums(40), *sums(40)], split_seed=3))
    assert twice.report["train/duplicates"] == len(twice.train) / 2
    assert twice.report["test/in_train"] == twice.report["validation/in_train"] == 0
    assert corpus.report["train/prompts"] == 64


def test_words_of_prompts_are_words_of_the_vocabulary(tmp_path):
    rows = [{"prompt": f"only{n % 3}", "completion": f"b{n % 20}"} for n in range(60)]
    corpus = prepare_table(table_settings(tmp_path / "a.jsonl", rows, min_count=2))
    assert {"only0", "only1", "only2"} <= set(corpus.vocabulary.tokens)
    assert corpus.report["train/unknown_prompt_share"] == 0
    assert "different prompts of at most 1 tokens, 0.00% unknown" in corpus.summary()


def test_given_parts_keep_their_rows(tmp_path):
    test = write_table(tmp_path / "test.csv", [{"prompt": "1 + 1", "completion": "is 2", "sum": "2"}])
    corpus = prepare_table(table_settings(tmp_path / "a.jsonl", sums(40), test_path=test))
    assert rows_of(corpus, "test") == [("1 + 1", "is 2", "2")]


def test_other_names_of_columns(tmp_path):
    rows = [{"question": row["prompt"], "answer": row["completion"], "sum": row["sum"]} for row in sums(40)]
    names = {"prompt_column": "question", "completion_column": "answer"}
    corpus = prepare_table(table_settings(tmp_path / "a.csv", rows, **names))
    usual = prepare_table(table_settings(tmp_path / "b.csv", sums(40)))
    assert rows_of(corpus, "train") == rows_of(usual, "train")
    assert corpus.columns == ["question", "answer", "sum"]


def test_a_saved_corpus_is_the_same(corpus, tmp_path):
    corpus.save(tmp_path / "saved")
    loaded = PreparedCorpus.load(tmp_path / "saved")
    assert loaded.digest == corpus.digest
    assert all(rows_of(loaded, part) == rows_of(corpus, part) for part in PARTS)
    assert loaded.max_prompt_length == corpus.max_prompt_length == 40


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about["columns"].pop("test"),
        lambda about: about["columns"]["train"].update(sum=3),
        lambda about: about["columns"]["train"]["sum"].pop(),
        lambda about: about["columns"]["train"]["sum"].__setitem__(0, "nine"),
        lambda about: about.update(columns=[]),
        lambda about: about.update(columns={}),
        lambda about: about.update(max_prompt_length="4"),
        lambda about: about.update(max_prompt_length=1),
    ],
)
def test_a_damaged_context_is_noticed(corpus, tmp_path, change):
    corpus.save(tmp_path)
    about = json.loads((tmp_path / "corpus.json").read_text())
    change(about)
    (tmp_path / "corpus.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="is damaged"):
        PreparedCorpus.load(tmp_path)


@pytest.mark.parametrize("name", ["train_prompt_ids", "test_prompt_offsets"])
def test_other_prompts_are_noticed(corpus, tmp_path, name):
    corpus.save(tmp_path)
    with np.load(tmp_path / "corpus.npz") as archive:
        arrays = {key: archive[key] for key in archive}
    changed = arrays[name].copy()
    changed[[1, 2]] = changed[[2, 1]] if name.endswith("ids") else changed[[1, 2]] + 1
    assert not np.array_equal(changed, arrays[name])
    np.savez(tmp_path / "corpus.npz", **{**arrays, name: changed})
    with pytest.raises(ValueError, match="is damaged"):
        PreparedCorpus.load(tmp_path)


def test_the_digest_is_that_of_prompts_and_columns_too(corpus, tmp_path):
    others = sums(80)
    others[70] = {**others[70], "sum": "x"}
    assert prepare_table(table_settings(tmp_path / "b.jsonl", others)).digest != corpus.digest


def test_batches_carry_the_prompts_of_their_rows(corpus):
    part = corpus.part("train")
    for lengths in ((None, None), (9, 7)):
        batches = Batches(part, batch_size=10, pad_id=0, seed=0, length=lengths[0], prompt_length=lengths[1])
        seen = []
        for batch in batches.epoch(0):
            assert batch.prompt.columns == batch.columns
            for row in range(len(batch)):
                prompt = corpus.vocabulary.decode(batch.prompt.tokens[row, batch.prompt.mask[row]])
                tokens = corpus.vocabulary.decode(batch.tokens[row, batch.mask[row]])
                seen.append((" ".join(prompt), " ".join(tokens), batch.columns["sum"][row]))
            assert lengths == (None, None) or batch.prompt.tokens.shape[1] == 7
        assert sorted(seen) == sorted(rows_of(corpus, "train"))


def test_joined_sequences_are_prompt_and_completion(corpus):
    part = corpus.part("test")
    joined = part.joined()
    for row in range(len(part)):
        assert joined[row].tolist() == [*part.context.prompts[row], *part.sequences[row]]
    assert part.select(np.array([1])).joined()[0].tolist() == joined[1].tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"prompt": "a", "completion": "b"}\n\n{"prompt": "c"}\n', "line 3: has no 'completion'"),
        ("a.jsonl", '{"prompt": "a", "completion": null}', "line 1: 'completion' is null; it must be text"),
        ("a.jsonl", '{"prompt": "a", "prompt": "b"}', "line 1: is no JSON: the name 'prompt' comes twice"),
        ("a.jsonl", '{"prompt": "\\ud800", "completion": "b"}', "line 1: holds half of a surrogate pair"),
        ("a.jsonl", '{"prompt": 3, "completion": "b"}', "line 1: 'prompt' is a int; it must be text"),
        ("a.jsonl", '{"completion": "b"}\n{"prompt": "a", "completion": "b"}', "line 1: has no 'prompt'"),
        ("a.jsonl", '{"prompt": "a"', "line 1: is no JSON"),
        ("a.jsonl", "[" * 100_000, "line 1: is no JSON"),
        ("a.jsonl", "[1]", "line 1: is no JSON object"),
        ("a.jsonl", "{}", "line 1: has no 'completion'; it holds nothing"),
        ("a.csv", "prompt,completion\na,b,c\n", "line 2: has 3 entries for 2 columns"),
        ("a.csv", 'prompt,completion\n"a\nb",c\nd\n', "line 4: has 1 entries for 2 columns"),
        ("a.csv", "prompt,prompt\na,b\n", "line 1: names of columns must differ and not be empty"),
        ("a.csv", 'prompt,completion\n"a"x,b\n', "line 2: is no CSV"),
        ("a.csv", "prompt,completion\n", "holds no row"),
        ("a.csv", "prompt\na\n", "line 2: has no 'completion'; it holds 'prompt'"),
        ("a.csv", "prompt,completion\n,\n", "only blank lines"),
        (
            "a.txt",
            "prompt,completion\na,b\n",
            "must end with .jsonl, .ndjson, .csv, .tsv, or",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError) as error:
        prepare_table(TableCorpusSettings(path=tmp_path / name))
    assert str(error.value).startswith(str(tmp_path / name)) and message in str(error.value)


def test_no_file_and_parts_of_which_some_lack_prompts(tmp_path):
    with pytest.raises(ValueError, match=r"--corpus\.path: names no file"):
        prepare_table(TableCorpusSettings())
    test = write_table(tmp_path / "test.csv", [{"completion": "is 2"}])
    with pytest.raises(ValueError, match=r"test\.csv: has no column 'prompt', as .*a\.jsonl has"):
        prepare_table(table_settings(tmp_path / "a.jsonl", sums(40), test_path=test))


def test_a_column_that_the_flag_names_must_be_there_and_parts_have_the_same(tmp_path):
    settings = table_settings(tmp_path / "a.csv", sums(40), prompt_column="question")
    with pytest.raises(
        ValueError, match=r"--corpus\.prompt-column: .*a\.csv has no column 'question'; it has"
    ):
        prepare_table(settings)
    test = write_table(tmp_path / "test.csv", [{"prompt": "1 + 1", "completion": "is 2"}])
    with pytest.raises(ValueError, match=r"test\.csv: has no column 'sum', as .*a\.jsonl has"):
        prepare_table(table_settings(tmp_path / "a.jsonl", sums(40), test_path=test))


def test_large_cells_and_characters_of_two_halves(tmp_path):
    rows = [{"prompt": "a", "completion": "b", "sum": "x" * 200_000}]
    assert read_table(write_table(tmp_path / "a.csv", rows)).rows == rows
    write_table(tmp_path / "a.jsonl", [{"prompt": "\U0001f600", "completion": "b"}])
    assert "\\ud83d" in (tmp_path / "a.jsonl").read_text()
    assert read_table(tmp_path / "a.jsonl").rows[0]["prompt"] == "\U0001f600"


def test_a_cell_of_csv_may_hold_line_ends(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfprompt,completion\r\n"a\r\nb","c ""d"""\r\n')
    table = read_table(tmp_path / "a.csv")
    assert table.rows == [{"prompt": "a\r\nb", "completion": 'c "d"'}]


def test_prompts_come_from_a_table_or_from_lines(tmp_path):
    path = write_table(tmp_path / "a.csv", sums(3))
    assert read_prompts(path, "prompt") == ["0 + 0", "0 + 1", "0 + 2"]
    (tmp_path / "a.txt").write_text("0 + 0\n\n0 + 2\n")
    assert read_prompts(tmp_path / "a.txt", "prompt") == ["0 + 0", "", "0 + 2"]
    assert read_prompts(path, "question") == ["0 + 0", "0 + 1", "0 + 2"]  # as `generate` writes them
    with pytest.raises(ValueError, match="has no 'question'"):
        read_prompts(write_table(tmp_path / "b.csv", [{"q": "a"}]), "question")


def test_advice_on_prompts_and_on_tables_that_are_read_as_lines(tmp_path):
    rows = [{**row, "prompt": row["prompt"] + " and" * (n % 5 == 0)} for n, row in enumerate(sums(80))]
    short = prepare_table(table_settings(tmp_path / "a.jsonl", rows, max_prompt_length=3))
    assert short.counts["long_prompts"] == 16
    assert "80 lines: 0 blank, 0 too long and 16 with too long prompts (0 dropped" in short.summary()
    advice = "16 of 80 prompts are longer than --corpus.max-prompt-length; 99 % have at most 4 tokens"
    assert advice in short.advice()
    assert not any(
        "max-prompt-length" in line
        for line in prepare_table(table_settings(tmp_path / "a.jsonl", rows, max_prompt_length=4)).advice()
    )
    as_lines = prepare_files(file_settings(tmp_path / "b.jsonl", (tmp_path / "a.jsonl").read_text()))
    assert as_lines.advice()[0].startswith("100% of the lines are JSON objects: --corpus.kind table reads")
