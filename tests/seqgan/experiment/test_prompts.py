"""Runs on a corpus of prompts and completions, from its file to what people read."""

import copy
import json

import pytest
import torch

from seqgan.evaluation.ngram_generator import NgramGenerator
from seqgan.experiment.assessments import Assessments
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.experiment.measurements import measure
from seqgan.studies.neighbours import Neighbourhood
from seqgan.text.language import with_prompts
from seqgan.text.sequences import Sequences
from tests.runs import assert_resumes
from tests.tables import rows_of, sums, write_table
from tests.tiny_run import TINY, flags, tiny_experiment

pytestmark = pytest.mark.slow

REWARD = """
def right(completions, prompts, sum, log_metric, **columns):
    assert len(completions) == len(prompts) == len(sum) == len(columns["completion"])
    for prompt, total, real in zip(prompts, sum, columns["completion"]):
        first, second = prompt.replace("<unk>", "0").split(" + ")
        assert "<unk>" in prompt or int(first) + int(second) == int(total)
        assert real == f"is {total}"
    log_metric("number", len(completions))
    return [float(text == f"is {total}") for text, total in zip(completions, sum)]
"""
CORPUS = {"corpus": {"kind": "table", "tokenizer": "whitespace", "min_count": 1, "max_length": 6}}
GROUPS = {
    "estimator": {"kind": "group"},
    "algorithm": {"batch_size": 16, "group_size": 4},
    "evaluation": {"num_samples": 24, "num_samples_in_training": 12},
}


def settings(tmp_path, reward=True):
    """Settings of a run on sums, with a reward that looks at the columns."""
    path = write_table(tmp_path / "sums.jsonl", sums(80))
    (tmp_path / "rewards.py").write_text(REWARD)
    own = {"reward": {"kind": f"{tmp_path}/rewards.py:right"}} if reward else {}
    return [{"corpus": {**CORPUS["corpus"], "path": str(path)}}, own]


@pytest.fixture(name="run", scope="module")
def trained(tmp_path_factory):
    """A finished run, to be read only."""
    folder = tmp_path_factory.mktemp("prompts")
    experiment = tiny_experiment(folder / "run", *settings(folder), {"estimator": {"lag": 0}}, GROUPS)
    experiment.train()
    return folder / "run"


@pytest.mark.parametrize(
    ("layers", "reward"),
    [
        ([GROUPS], True),
        ([{"estimator": {"kind": "rollouts", "num_rollouts": 2}}], False),
        ([{"estimator": {"kind": "candidates", "num_candidates": 3}}], False),
        (
            [{"estimator": {"kind": "gae"}, "algorithm": {"kind": "ppo", "num_minibatches": 2, "epochs": 2}}],
            True,
        ),
    ],
)
def test_an_interrupted_run_ends_like_one_that_was_not(tmp_path, layers, reward):
    layers = [*settings(tmp_path, reward), {"estimator": {"kind": "returns"}}, *layers]

    def build(name):
        return tiny_experiment(tmp_path / name, *layers)

    assert_resumes(build, tmp_path)


def test_generators_are_asked_for_the_prompts_of_the_part_that_they_are_judged_on(run):
    experiment = open_run(run)
    test = [prompt for prompt, _, _ in rows_of(experiment.corpus, "test")]
    result = experiment.evaluate()
    assert list(result.prompts) == [test[n % len(test)] for n in range(24)]
    held_out = {prompt for prompt, _, _ in rows_of(experiment.corpus, "validation")}
    samples = experiment.materials.validation.prompt
    assert {experiment.language.decode(ids.tolist()) for ids in samples.tokens} == held_out
    training = {prompt for prompt, _, _ in rows_of(experiment.corpus, "train")}
    assert not training & (held_out | set(test))
    asked = experiment.materials.algorithm.prompts
    prompts = [experiment.language.decode(ids.tolist()) for ids in asked.tokens]
    assert set(prompts) == training
    answers = {row["prompt"]: row["sum"] for row in sums(80)}
    known = [(prompt, column) for prompt, column in zip(prompts, asked.columns["sum"], strict=True)]
    assert all(answers[prompt] == column for prompt, column in known)


def test_rows_log_the_reward_of_completions_beside_their_columns(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    means = [row["reward/mean"] for row in rows if "reward/mean" in row]
    assert len(means) == 6 and all(0 <= mean <= 1 for mean in means)
    assert {row["reward/number"] for row in rows if "reward/number" in row} >= {16.0}


def test_completions_are_drawn_and_scored_from_python(run):
    experiment = open_run(run)
    prompts = ["1 + 2", "3 + 4", "3 + 4"]
    found = experiment.complete(prompts, seed=3)
    assert len(found) == 3 and found == experiment.sample(3, prompts=prompts, seed=3)
    generator = experiment.generator
    score = experiment.score(["is 3", "is 7"], prompts=["1 + 2", "3 + 4"])
    for value, prompt, completion in zip(score, prompts, ("is 3", "is 7"), strict=False):
        before, behind = experiment.language.encode_prefix(prompt), experiment.language.encode(completion)
        inputs = torch.tensor([[generator.bos_id, *before, *behind[:-1]]])
        with torch.no_grad():
            log_probs = generator.head.logits(generator.encode(inputs))[0].log_softmax(-1)
        expected = log_probs[-len(behind) :].gather(1, torch.tensor(behind)[:, None]).mean()
        assert value == pytest.approx(float(expected), abs=1e-5)
    for call in (lambda: experiment.sample(2), lambda: experiment.score(["is 3"])):
        with pytest.raises(ValueError, match="sentences of this run complete prompts: give one for each"):
            call()
    with pytest.raises(ValueError, match="prefix: stands beside prompts"):
        experiment.sample(1, prompts=["1 + 2"], prefix="is")


def test_a_run_without_prompts_takes_none():
    experiment = tiny_experiment()
    for call in (lambda: experiment.complete(["a"]), lambda: experiment.score(["a"], prompts=["a"])):
        with pytest.raises(ValueError, match="sentences of this run complete no prompts: give a prefix"):
            call()


def test_the_baseline_of_ngrams_is_that_of_prompts_and_completions_of_the_training_part(run):
    experiment = open_run(run)
    corpus, eos_id = experiment.corpus, experiment.vocabulary.eos_id
    known = NgramGenerator.fit(
        Sequences.from_lists([
            [*prompt, *sequence]
            for part in [corpus.part("train")]
            for prompt, sequence in zip(lists(part.context.prompts), lists(part.sequences), strict=True)
        ]),
        order=5,
        discount=None,
        vocabulary_size=experiment.vocabulary.size,
        bos_id=experiment.vocabulary.bos_id,
        forbidden=experiment.vocabulary.forbidden,
    )  # fmt: skip
    test = experiment.materials.split("test")
    with torch.no_grad():
        found = experiment.ngram.log_probs(test)
        for row in range(len(test)):
            before = test.prompt.tokens[row, test.prompt.mask[row]]
            tokens = torch.cat([before, test.tokens[row, test.mask[row]]])[None]
            alone = known.log_probs(type(test)(tokens, torch.ones_like(tokens).bool()))[0, len(before) :]
            torch.testing.assert_close(found[row, test.mask[row]], alone, atol=1e-5, rtol=1e-5)
            assert tokens[0, -1] == eos_id


def lists(sequences):
    """Every sequence as a list."""
    return [sequences[row].tolist() for row in range(len(sequences))]


def test_the_reward_of_evaluations_is_that_of_validation_prompts(tmp_path):
    layer = {"sampling": {"temperature": 0.7}, "reward": {"kind": "length"}}
    experiment = tiny_experiment(None, *settings(tmp_path, reward=False), layer, GROUPS)
    seen, reward = [], experiment.materials.reward
    experiment.materials.__dict__["reward"] = lambda batch: seen.append(batch) or reward(batch)
    Assessments(experiment.materials, experiment.evaluator("validation", 12)).evaluate_with_reward()
    (batch,) = seen
    held_out = [prompt for prompt, _, _ in rows_of(experiment.corpus, "validation")]
    asked = [" ".join(experiment.vocabulary.decode(ids)) for ids in batch.prompt.tokens]
    assert asked == [held_out[n % len(held_out)] for n in range(len(batch))]


def test_completions_are_as_long_as_those_of_the_corpus_and_take_the_settings(run):
    experiment = open_run(run)
    flat = copy.deepcopy(experiment.generator)
    with torch.no_grad():
        flat.head.weight.zero_()
        flat.head.bias.zero_()
        flat.head.bias[experiment.vocabulary.eos_id] = -50.0
    tokens = experiment.sample_tokens(2, prompts=["1 + 2", "3"], generator=flat)
    assert [len(row) for row in tokens] == [6, 6]
    likeliest = experiment.sample_tokens(9, prompts=["1 + 2"] * 9, temperature=0.0)
    assert len({tuple(row) for row in likeliest}) == 1
    assert (
        len({tuple(row) for row in experiment.sample_tokens(9, prompts=["1 + 2"] * 9, temperature=5.0)}) > 1
    )
    scores = [experiment.score(["is 3"], prompts=["1 + 2"], generator=g)[0] for g in (None, flat)]
    assert scores[0] != scores[1]
    with pytest.raises(ValueError, match="prompts: must be a list of texts"):
        experiment.complete("1 + 2")


def test_commands_show_prompts_beside_what_completes_them(cli, run, tmp_path):
    lines = [line.split("\t") for line in cli("generate", "--run", run, "--num-sentences", 4).splitlines()]
    test = [prompt for prompt, _, _ in rows_of(open_run(run).corpus, "test")]
    assert [prompt for prompt, _ in lines] == [test[n * 8 // 4] for n in range(4)]
    (tmp_path / "prompts.txt").write_text("1 + 2\n3 + 4\n")
    asked = ("generate", "--run", run, "--prompts", "prompts.txt")
    assert [line.split("\t")[0] for line in cli(*asked).splitlines()] == ["1 + 2", "3 + 4"]
    twice = [line.split("\t") for line in cli(*asked, "--num-sentences", 2, "--seed", 1).splitlines()]
    assert [prompt for prompt, _ in twice] == ["1 + 2", "1 + 2", "3 + 4", "3 + 4"]
    cli(*asked, "--num-sentences", 2, "--seed", 1, "--output", "out.jsonl", "--quiet")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [[row["prompt"], row["completion"]] for row in rows] == twice
    write_table(tmp_path / "more.csv", [{"prompt": "5 + 5"}])
    assert cli("generate", "--run", run, "--prompts", "more.csv").startswith("5 + 5\t")
    text = cli("text", "--run", run, "--part", "test").splitlines()
    assert text == ["\t".join(row[:2]) for row in rows_of(open_run(run).corpus, "test")]
    write_table(tmp_path / "more.jsonl", [{"prompt": "5 + 5\n6"}])
    assert cli("generate", "--run", run, "--prompts", "more.jsonl").startswith("5 + 5\\x0a6\t")
    experiment = open_run(run)
    neighbourhood = Neighbourhood(experiment.corpus, experiment.language)
    shown = ["".join(text for text, _ in one.sentence) for one in neighbourhood.test_samples(3)]
    assert shown == [" → ".join(row[:2]) for row in rows_of(experiment.corpus, "test")[:3]]
    measured = measure(experiment, "mle-best")
    shown = ["".join(text for text, _ in one.sentence) for one in neighbourhood.samples(measured, 4)]
    assert shown == with_prompts(measured.sentences, measured.prompts)[:4]
    cli("report", "--run", run, "--output", "report.html", "--quiet")
    page = (tmp_path / "report.html").read_text()
    assert all(f"{prompt} → " in page for prompt in measured.prompts[:4])


def test_prompts_of_a_column_of_another_name_and_of_words_that_a_tokenizer_cuts(cli, tmp_path):
    rows = [{"question": f"the word{n} is seen", "completion": f"or {n % 9} {n % 10}"} for n in range(80)]
    write_table(tmp_path / "a.csv", rows)
    own = ("--corpus.kind", "table", "--corpus.path", "a.csv", "--corpus.prompt-column", "question")
    short = flags({"mle": {"epochs": 1}, "adversarial": {"rounds": 0}, "evaluation": {"num_samples": 20}})
    command = ("pretrain", "--run", "run", "--preset", "tiny", *own, *short, "--corpus.min-count", 2)
    assert cli.result(*command, "--corpus.max-prompt-length", 4, "--quiet") == (0, "", "")
    asked = cli("generate", "--run", "run", "--num-sentences", 3).splitlines()
    assert all(line.startswith("the <unk> is seen\t") for line in asked)
    assert cli("generate", "--run", "run", "--prompts", "a.csv").startswith("the word0 is seen\t")
    (tmp_path / "again.txt").write_text("the <unk> is seen\n")
    assert cli("generate", "--run", "run", "--prompts", "again.txt").startswith("the <unk> is seen\t")


def test_what_a_run_with_prompts_prints(cli, tmp_path):
    table = write_table(tmp_path / "sums.csv", sums(80))
    own = ("--corpus.kind", "table", "--corpus.path", table, "--corpus.tokenizer", "whitespace")
    short = flags({"mle": {"epochs": 1}, "adversarial": {"rounds": 1}})
    printed = cli("prepare", "--run", "run", *TINY, *own, *short)
    assert "different prompts of at most 3 tokens" in printed
    assert "train begins with: 0 + " in printed and " → is " in printed
    _, output, _ = cli.result("train", "--run", "run", "--quiet")
    assert output == ""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("--prefix", "is"), "--prefix: sentences of this run complete prompts; give --prompts"),
        (("--prompts", "none.txt"), "none.txt: cannot be read"),
        (("--prompts", "long.txt"), "--prompts: long.txt: 50 tokens are too many for a prompt of the run"),
        (("--prompts", "other.csv"), "other.csv, line 2: has no 'prompt'"),
    ],
)
def test_prompts_that_cannot_be_used(cli, run, tmp_path, command, message):
    (tmp_path / "long.txt").write_text("1 " * 50)
    (tmp_path / "other.csv").write_text("question\n1\n")
    assert message in cli.fails("generate", "--run", run, *command)


def test_prompts_need_a_run_with_prompts(cli, finished_run, tmp_path):
    (tmp_path / "prompts.txt").write_text("The girl\n")
    message = cli.fails("generate", "--run", finished_run, "--prompts", "prompts.txt")
    assert "--prompts: sentences of this run complete no prompts; give --prefix" in message


def test_a_column_that_is_not_there_is_missed_before_training(cli, tmp_path):
    table = write_table(tmp_path / "sums.csv", sums(80))
    (tmp_path / "r.py").write_text("def own(completions, answer):\n    return [0.0 for _ in completions]\n")
    own = ("--corpus.kind", "table", "--corpus.path", table, "--reward.kind", "r.py:own")
    message = cli.fails("train", "--run", "run", *TINY, *own)
    assert "takes 'answer', which is no column; there are completion, completion_ids, completions" in message
    assert not (tmp_path / "run").exists()


def test_leakgan_refuses_prompts(cli, tmp_path):
    table = write_table(tmp_path / "sums.csv", sums(80))
    own = ("--preset", "tiny", "--corpus.kind", "table", "--corpus.path", table)
    message = cli.fails("train", "--run", "run", *own, package="leakgan")
    assert "--corpus.kind: the corpus has prompts, and LeakGAN cannot be trained to complete them" in message


def test_a_model_must_reach_as_far_as_prompt_and_completion(tmp_path):
    transformer = {"kind": "transformer", "model_size": 8, "num_heads": 2, "num_layers": 1}
    with pytest.raises(ValueError, match="--generator.max-length: 45 is too small"):
        tiny_experiment(None, *settings(tmp_path), {"generator": {**transformer, "max_length": 45}})
    found = tiny_experiment(None, *settings(tmp_path), {"generator": {**transformer, "max_length": 46}})
    assert isinstance(found, Experiment)


def test_the_samples_of_the_highest_and_lowest_rewards_are_shown_once_each(run):
    experiment = open_run(run)
    materials = experiment.materials
    assessments = Assessments(materials, experiment.evaluator("validation", 12))
    result = assessments.evaluate_with_reward()
    assert list(result.texts) == ["samples", "highest rewards", "lowest rewards"]
    assert result.texts["samples"] == with_prompts(result.sentences, result.prompts)
    high, low = (
        [line.split(": ", 1) for line in result.texts[n]] for n in ("highest rewards", "lowest rewards")
    )
    for lines, descending in ((high, True), (low, False)):
        values = [float(value) for value, _ in lines]
        assert values == sorted(values, reverse=descending) and len({*map(tuple, lines)}) == len(lines) > 1
        for value, line in lines:
            prompt, completion = line.split(" → ")
            right = next(row["completion"] for row in sums(80) if row["prompt"] == prompt)
            assert float(value) == (completion == right)
    assert float(high[0][0]) >= result.metrics["evaluation/reward"] >= float(low[0][0])


def test_equal_answers_to_equal_prompts_are_no_alarm(tmp_path):
    def silent(reward):
        return list(tiny_experiment(None, *settings(tmp_path, reward)).loop.alarms.silent)

    assert silent(reward=True) == ["duplicates"]
    assert silent(reward=False) == ["reward_hacking", "duplicates"]
