"""Every metric by its name, ``group/name``, with what it means: the names of metrics.jsonl and TensorBoard.

(lower) and (higher) say which is better.
"""

ORDERS = (2, 3, 4, 5)  # of the n-grams that are measured

METRICS = {
    "mle/loss": "negative log-likelihood of the training batch, nats per token (lower)",
    "mle/gradient_norm": "norm of its gradient, penalty included, before clipping",
    "mle/learning_rate": "step size",
    "discriminator/loss": "cross-entropy of the training batch, nats (lower)",
    "discriminator/penalty": "what regularisation adds to the loss",
    "discriminator/accuracy": "share of the training batch that is told apart (higher)",
    "discriminator/gradient_norm": "norm of the gradient before clipping",
    "discriminator/auc_train": "AUC of training text against fresh samples (higher)",
    "discriminator/auc_held_out": "AUC of validation text against fresh samples (higher)",
    "discriminator/loss_train": "cross-entropy on training text and fresh samples, nats (lower)",
    "discriminator/loss_held_out": "cross-entropy on validation text and fresh samples, nats (lower)",
    "discriminator/accuracy_train": "accuracy on training text and fresh samples (higher)",
    "discriminator/accuracy_held_out": "accuracy on validation text and fresh samples (higher)",
    "policy/loss": "policy-gradient loss",
    "policy/entropy": "entropy of the policy, nats per token",
    "policy/kl": "KL(policy to MLE policy), nats per token",
    "policy/gradient_norm": "norm of the gradient before clipping",
    "policy/advantage_std": "standard deviation of the advantages",
    "policy/length": "mean length of the sampled sequences, tokens",
    "reward/mean": "mean reward at the last token",
    "reward/return": "mean discounted return of whole sequences",
    "evaluation/nll_oracle": "NLL-oracle, nats per token (lower)",
    "evaluation/nll_validation": "NLL-validation, nats per token (lower)",
    "evaluation/nll_test": "NLL-test, nats per token (lower)",
    "evaluation/entropy": "entropy of own samples, nats per token",
    "evaluation/kl_q_p": "KL(generator to data), nats per token (lower)",
    "evaluation/kl_p_q": "KL(data to generator), nats per token (lower)",
    "evaluation/jeffreys": "Jeffreys divergence, nats per token (lower)",
    "evaluation/jensen_shannon": "Jensen-Shannon of sequences, nats (lower)",
    **{f"evaluation/bleu_{n}": f"BLEU-{n} (higher)" for n in ORDERS},
    **{f"evaluation/self_bleu_{n}": f"self-BLEU-{n} (lower)" for n in ORDERS},
    **{f"evaluation/backward_bleu_{n}": f"backward BLEU-{n} (higher)" for n in ORDERS},
    **{f"evaluation/bleu_f1_{n}": f"BLEU-{n} F1 with backward BLEU (higher)" for n in ORDERS},
    **{f"evaluation/distinct_{n}": f"distinct-{n} (higher)" for n in ORDERS},
    "evaluation/unique": "unique sentences, share (higher)",
    "evaluation/novelty": "sentences not in the training text, share",
    "evaluation/longest_copied": "longest copied n-gram, mean, tokens",
    **{f"evaluation/ms_jaccard_{n}": f"MS-Jaccard-{n} (higher)" for n in ORDERS},
    **{f"evaluation/ngram_js_{n}": f"{n}-gram Jensen-Shannon, nats (lower)" for n in ORDERS},
    "evaluation/forward_perplexity": "forward perplexity by 5-grams (lower)",
    "evaluation/reverse_perplexity": "reverse perplexity by 5-grams (lower)",
    "evaluation/mean_length": "mean length, tokens",
    "evaluation/length_deviation": "standard deviation of length, tokens",
    "evaluation/length_distance": "Wasserstein distance of lengths (lower)",
}

ON_REQUEST = {  # what `evaluate` measures of files where it is asked to
    "evaluation/language_model_perplexity": "perplexity by the language model (lower)",
    "evaluation/language_model_perplexity_real": "the real text's perplexity by it",
    "evaluation/frechet_distance": "Fréchet distance of features (lower)",
    "evaluation/mauve": "MAUVE of features (higher)",
}


def lower_is_better(name: str) -> bool:
    """Which side of an evaluation's metric, named without its group, is the better one.

    Raises:
        ValueError: There is no such metric, or neither side is better.
    """
    meaning = METRICS.get(f"evaluation/{name}", "")
    for side, lower in (("(lower)", True), ("(higher)", False)):
        if meaning.endswith(side):
            return lower
    raise ValueError(
        f"no metric {name!r} with a better side; choose nll, jeffreys, bleu_f1_5, ms_jaccard_4 or another "
        "that seqgan/evaluation/metrics.py marks (lower) or (higher)"
    )
