import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgan.text.vocabulary import Vocabulary


def test_special_tokens_come_first_then_falling_counts_then_code_points():
    counts = {"b": 2, "a": 2, "c": 5, "é": 2, "Z": 2}
    vocabulary = Vocabulary.from_counts(counts)
    assert vocabulary.tokens == ("<pad>", "<bos>", "<eos>", "<unk>", "c", "Z", "a", "b", "é")
    assert (vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 1, 2, 3)
    assert vocabulary.forbidden == (0, 1)
    assert vocabulary.size == 9


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 4), max_size=12), st.randoms())
def test_the_order_of_counting_does_not_matter(counts, rng):
    items = list(counts.items())
    rng.shuffle(items)
    assert Vocabulary.from_counts(dict(items)) == Vocabulary.from_counts(counts)


def test_minimum_count_and_maximum_size():
    counts = Counter("aaaabbbccd")
    assert Vocabulary.from_counts(counts, min_count=2).tokens[4:] == ("a", "b", "c")
    assert Vocabulary.from_counts(counts, max_size=6).tokens[4:] == ("a", "b")
    assert Vocabulary.from_counts(counts, max_size=6).size == 6
    assert Vocabulary.from_counts(counts, max_size=6, min_count=4).tokens[4:] == ("a",)


def test_encode_appends_eos_and_decode_stops_there():
    vocabulary = Vocabulary.text(["a", "b"])
    assert vocabulary.encode(["a", "b", "c"]) == [4, 5, 3, 2]
    assert vocabulary.decode([1, 4, 0, 3, 2, 5, 5]) == ["a", "<unk>"]
    assert vocabulary.encode([]) == [2]


def test_text_that_looks_like_a_special_token_is_ordinary():
    vocabulary = Vocabulary.from_counts({"<eos>": 3, "<pad>": 2, "a": 1})
    ids = vocabulary.encode(["a", "<eos>", "<pad>", "<bos>", "<unk>"])
    assert ids == [6, 4, 5, 3, 3, 2]
    assert vocabulary.decode(ids)[:3] == ["a", "<eos>", "<pad>"]
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_integers_have_no_special_tokens():
    vocabulary = Vocabulary.integers(5000)
    assert vocabulary.size == 5000
    assert (vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 0, None, None)
    assert vocabulary.forbidden == ()
    ids = [0, 4999, 1, 2, 3, 0]
    assert vocabulary.decode(ids) == ["0", "4999", "1", "2", "3", "0"]
    assert vocabulary.encode(vocabulary.decode(ids)) == ids
    with pytest.raises(ValueError, match="5000"):
        vocabulary.encode(["5000"])
    assert Vocabulary.from_json(Vocabulary.integers(7, bos_id=3).to_json()).bos_id == 3


@given(st.sets(st.text(min_size=1, max_size=4), max_size=15), st.data())
def test_round_trip(tokens, data):
    vocabulary = Vocabulary.text(sorted(tokens))
    sentence = data.draw(st.lists(st.sampled_from(sorted(tokens)), max_size=8)) if tokens else []
    assert vocabulary.decode(vocabulary.encode(sentence)) == sentence


@pytest.mark.parametrize("number", [-1, 6])
def test_decode_refuses_numbers_outside(number):
    with pytest.raises(ValueError, match="outside"):
        Vocabulary.text(["a", "b"]).decode([4, number])


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", ""]])
def test_tokens_must_be_distinct_and_not_empty(tokens):
    with pytest.raises(ValueError, match="distinct"):
        Vocabulary.text(tokens)


def test_save_and_load(tmp_path):
    vocabulary = Vocabulary.text(["猫", "a b", "\n", '"'])
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    with pytest.raises(ValueError, match=r"missing\.json"):
        Vocabulary.load(tmp_path / "missing.json")


GOOD = {"format": 1, "kind": "text", "tokens": ["a", "b"]}


@pytest.mark.parametrize(
    "content",
    [
        [],
        None,
        {},
        GOOD | {"format": 2},
        GOOD | {"kind": "words"},
        GOOD | {"tokens": ["a", 1]},
        GOOD | {"tokens": ["a", "a"]},
        GOOD | {"tokens": ["a", ""]},
        GOOD | {"tokens": "ab"},
        GOOD | {"more": 1},
        {"format": 1, "kind": "integers", "size": 0, "bos_id": 0},
        {"format": 1, "kind": "integers", "size": 5, "bos_id": 5},
        {"format": 1, "kind": "integers", "size": 5.0, "bos_id": 0},
        {"format": 1, "kind": "integers", "size": 10**12, "bos_id": 0},
        {"format": 1, "kind": "integers", "size": True, "bos_id": 0},
    ],
)
def test_other_json_is_refused_by_name(content):
    assert Vocabulary.from_json(json.dumps(GOOD)).size == 6
    with pytest.raises(ValueError, match=r"^words\.json: "):
        Vocabulary.from_json(json.dumps(content), "words.json")


def test_deep_nesting_is_an_error_not_a_crash():
    with pytest.raises(ValueError, match=r"^words\.json: "):
        Vocabulary.from_json("[" * 100_000, "words.json")


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_damaged_files_give_a_value_error_or_a_vocabulary(seed):
    rng = random.Random(seed)
    data = bytearray(Vocabulary.text(["a", "b", "é"]).to_json().encode())
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    del data[rng.randint(1, len(data)) :]
    try:
        assert isinstance(Vocabulary.from_json(bytes(data), "words.json"), Vocabulary)
    except ValueError as error:
        assert str(error).startswith("words.json: ")
