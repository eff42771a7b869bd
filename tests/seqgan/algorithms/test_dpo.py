"""DPO: its gradient by plain autograd, its optimum by enumeration, and pairs that cannot be used."""

import json

import numpy as np
import pytest
import torch

from seqgan.algorithms.dpo import DPO, DPOSettings, preference_loss
from seqgan.evaluation.metrics import METRICS
from seqgan.experiment.catalogue import SEQGAN
from seqgan.experiment.experiment import Experiment
from seqgan.runtime.trainer import Trainer
from seqgan.text.language import Language
from seqgan.text.table_corpus import prepare_table
from seqgan.text.token_batch import TokenBatch
from tests.runs import assert_resumes
from tests.tables import sums, table_settings, write_table
from tests.tiny_models import KINDS, tiny_generator

LAYERS = {
    "mle": {"epochs": 1},
    "adversarial": {"rounds": 3, "policy_steps": 2},
    "evaluation": {"num_samples": 20, "num_samples_in_training": 20},
}


@pytest.fixture(name="corpus", scope="module")
def prepared(tmp_path_factory):
    rows = [*sums(60), *({"prompt": "1 + 1", "completion": f"is {n} or more", "sum": "2"} for n in range(9))]
    settings = table_settings(tmp_path_factory.mktemp("dpo") / "a.jsonl", rows, max_length=6)
    return prepare_table(settings)


def pairs(number=7):
    """Right sums before wrong ones; sides and prompts differ in length."""
    return [
        {
            "prompt": f"{n} + 1" if n else "1",
            "chosen": f"is {n + 1}",
            "rejected": "is 3 or more" if n % 2 else "5",
        }
        for n in range(number)
    ]


def make(corpus, tmp_path, rows=None, *, policy=None, **settings):
    path = write_table(tmp_path / "pairs.jsonl", pairs() if rows is None else rows)
    size = corpus.vocabulary.size
    return DPO(
        DPOSettings(**{"preferences": path, "batch_size": 7} | settings),
        policy=policy or tiny_generator("lstm", size, forbidden=(0,)),
        language=Language(corpus),
        max_length=corpus.max_length,
        pad_id=corpus.vocabulary.pad_id,
        seed=3,
    )


def alone(generator, language, prompt, text):
    """The log-probability of one completion, read by itself."""
    before, behind = language.encode_prefix(prompt), language.encode(text)
    tokens = torch.tensor([[*before, *behind]])
    return generator.log_probs(TokenBatch(tokens, torch.ones_like(tokens).bool()))[0, len(before) :].sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("smoothing", "weight"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.7), (0.1, 0.3)])
def test_the_gradient_is_that_of_the_loss(corpus, tmp_path, kind, smoothing, weight):
    """Pair by pair, of a policy that has already moved away from its reference."""
    size, language, beta = corpus.vocabulary.size, Language(corpus), 0.6
    policy = tiny_generator(kind, size, forbidden=(0,), dropout=0.4)
    algorithm = make(
        corpus, tmp_path, policy=policy, beta=beta, label_smoothing=smoothing, likelihood_weight=weight,
        learning_rate=0.0, gradient_clip=1e9,
    )  # fmt: skip
    algorithm.start()
    reference = tiny_generator(kind, size, forbidden=(0,)).eval()
    reference.load_state_dict(policy.state_dict())
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.sin(torch.arange(parameter.numel()).float()).view_as(parameter))
    report = algorithm.step()
    found = [parameter.grad.clone() for parameter in policy.parameters()]
    policy.zero_grad()
    losses = []
    for row in pairs():
        chosen, rejected = (
            alone(policy.eval(), language, row["prompt"], row[s]) for s in ("chosen", "rejected")
        )
        with torch.no_grad():
            before = [alone(reference, language, row["prompt"], row[s]) for s in ("chosen", "rejected")]
        margin = beta * ((chosen - before[0]) - (rejected - before[1]))
        loss = -(1 - smoothing) * margin.sigmoid().log() - smoothing * (-margin).sigmoid().log()
        losses.append(loss.item())
        ((loss - weight * chosen / len(language.encode(row["chosen"]))) / len(pairs())).backward()
    expected = [parameter.grad for parameter in policy.parameters()]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)
    assert float(report.metrics["preference/loss"]) == pytest.approx(np.mean(losses), abs=1e-5)


def test_the_optimum_is_the_policy_that_rewards_under_a_kl_penalty_have():
    """Every pair of eight sequences, by the probability with which rewards choose it: the closed form."""
    generator = torch.Generator().manual_seed(0)
    rewards, reference = torch.randn(2, 8, generator=generator).double()
    reference = reference.log_softmax(0)
    chosen, rejected = torch.cartesian_prod(torch.arange(8), torch.arange(8)).unbind(1)
    share = (rewards[chosen] - rewards[rejected]).sigmoid()
    beta, logits = 0.3, reference.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        gains = logits.log_softmax(0) - reference
        margins = beta * (gains[chosen] - gains[rejected])
        loss, slopes = preference_loss(margins)
        total = (share * loss).sum()
        (logits.grad,) = torch.autograd.grad(total, logits, retain_graph=True)
        (by_slopes,) = torch.autograd.grad((share * slopes.detach() * margins).sum(), logits)
        torch.testing.assert_close(by_slopes, logits.grad)
        return total

    optimizer.step(closure)
    optimum = (reference + rewards / beta).softmax(0)
    assert 0.5 * (logits.softmax(0) - optimum).abs().sum() < 1e-4
    assert 0.5 * (reference.exp() - optimum).abs().sum() > 0.3


def test_it_learns_what_was_chosen_and_goes_through_all_pairs(corpus, tmp_path):
    algorithm = make(corpus, tmp_path, beta=0.5, batch_size=3, learning_rate=0.02)
    assert isinstance(algorithm, Trainer)
    algorithm.start()
    seen, batch = [], algorithm.pairs.batch
    algorithm.pairs.batch = lambda rows, *sizes: seen.extend(rows.tolist()) or batch(rows, *sizes)
    for _ in range(6):
        algorithm.step()
    epochs = [seen[:6], seen[6:12], seen[12:]]  # of seven pairs two batches of three
    assert all(len(set(epoch)) == 6 for epoch in epochs) and len({tuple(epoch) for epoch in epochs}) == 3
    first = algorithm.step().metrics
    for _ in range(30):
        last = algorithm.step().metrics
    assert float(last["preference/loss"]) < 0.5 * float(first["preference/loss"])
    assert float(last["preference/accuracy"]) == 1
    assert float(last["preference/chosen"]) > float(last["preference/rejected"])


def test_the_reference_is_the_policy_at_the_start_of_the_phase(corpus, tmp_path):
    algorithm = make(corpus, tmp_path)
    with torch.no_grad():
        algorithm.policy.head.bias.add_(torch.arange(corpus.vocabulary.size).float())
    algorithm.start()
    assert float(algorithm.step().metrics["preference/margin"]) == 0
    assert float(algorithm.step().metrics["preference/margin"]) > 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "1", "chosen": "is 1"}, "line 2: has no 'rejected'; it holds 'prompt', 'chosen'"),
        ({"prompt": "1", "rejected": "is 1"}, "line 2: has no 'chosen'"),
        ({"chosen": "is 1", "rejected": "is 2"}, "line 2: has no 'prompt'"),
        ({"prompt": "1", "chosen": "is 1", "rejected": " is  1"}, "line 2: chosen and rejected are the same"),
        ({"prompt": "1", "chosen": "is " * 9, "rejected": "is 2"}, "line 2: chosen has 10 tokens, the end"),
        ({"prompt": "1 " * 50, "chosen": "is 1", "rejected": "is 2"}, "line 2: 50 tokens are too many"),
        ({"prompt": "1", "chosen": 7, "rejected": "is 2"}, "line 2: 'chosen' is a int; it must be text"),
    ],
)
def test_pairs_that_cannot_be_used(corpus, tmp_path, row, message):
    with pytest.raises(ValueError) as error:
        make(corpus, tmp_path, [pairs()[0], row])
    assert str(error.value).startswith(f"{tmp_path / 'pairs.jsonl'}") and message in str(error.value)


@pytest.mark.slow
def test_a_run_needs_neither_reward_nor_discriminator(cli, tmp_path):
    write_table(tmp_path / "pairs.csv", [{"chosen": "The girl sings.", "rejected": "The girl."}] * 3)
    (tmp_path / "judge.py").write_text(
        "def words(completions):\n    return [float(len(c)) for c in completions]\n"
    )
    short = ("--preset", "tiny", "--mle.epochs", 1, "--adversarial.rounds", 2, "--evaluation.num-samples", 20)
    own = ("--algorithm.kind", "dpo", "--algorithm.preferences", "pairs.csv", "--quiet")
    cli.result("train", "--run", "run", *short, *own)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    names = {name for row in rows for name in row}
    assert "preference/loss" in names and not any(name.startswith("discriminator/") for name in names)
    assert "evaluation/reward" not in names
    cli.result("train", "--run", "judged", *short, *own, "--reward.kind", "judge.py:words")
    rows = [json.loads(line) for line in (tmp_path / "judged" / "metrics.jsonl").read_text().splitlines()]
    assert len([row for row in rows if "evaluation/reward" in row]) >= 2
    message = cli.fails("train", "--run", "other", *short, "--algorithm.kind", "dpo")
    assert "--algorithm.preferences: names no file; dpo learns from one of pairs" in message
    write_table(tmp_path / "prompts.csv", [{"prompt": "a", "chosen": "The girl", "rejected": "The boy"}])
    message = cli.fails(
        "train", "--run", "other", *short, "--algorithm.kind", "dpo", "--algorithm.preferences", "prompts.csv"
    )
    assert "prompts.csv: has a column 'prompt', and the corpus has no prompts" in message
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_an_interrupted_run_ends_like_one_that_was_not(tmp_path):
    path = write_table(tmp_path / "pairs.jsonl", [{"chosen": "The girl.", "rejected": "The boy."}] * 9)
    own = {"algorithm": {"kind": "dpo", "preferences": str(path), "batch_size": 4}}

    def build(name):
        return Experiment(SEQGAN.load_preset("tiny", LAYERS, own), tmp_path / name)

    assert_resumes(build, tmp_path)
    rows = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    names = {name for row in rows for name in json.loads(row)}
    assert names - {"step", "phase", "crc32"} <= METRICS.keys()
    assert {name for name in METRICS if name.startswith("preference/")} <= names
