"""A document as a page and as Markdown: all of it is there, and none of it is taken for markup."""

import base64
import re

import pytest

from seqgan.reports.blocks import (
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Figures,
    Paragraph,
    Sample,
    Samples,
    Section,
    Table,
)
from seqgan.reports.markdown import markdown
from seqgan.reports.page import page
from seqgan.studies.neighbours import pieces
from tests.html_page import read_page

EVIL = '<script>alert("1")</script> & <b> | *x* `y` <img src=x onerror="z"> \'q\''
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><text>1 &lt; 2</text></svg>'


def document(text):
    table = Table(
        text,
        [Cell(text), Cell("a", "b")],
        [[Cell("heading")], [Cell(text, text), Cell("1", "2\n3", "better")]],
    )
    sample = Sample([(text, True), (" rest", False)], [(text, False)], 2, 5)
    blocks = [
        Paragraph(text),
        Code(text),
        table,
        Figures([Figure(text, text, SVG, text)], "wide"),
        Samples([(Cell(text, text), [sample, Sample([("x", True)], [("x", True)], 0, 1)])]),
        Details(text, [Paragraph(text)]),
    ]
    return Document(text, text, [Section(text, blocks), Section(text, [Paragraph("end")])])


def test_the_page_is_whole_and_text_stays_text():
    text = page(document(EVIL))
    root = read_page(text)
    assert "<script" not in text and "<b>" not in text and 'onerror="' not in text
    for tag in ("title", "h1", "h2", "h3", "p", "code", "th", "small", "figcaption", "mark", "summary"):
        assert any(EVIL in element.text for element in root.all(tag)), tag
    assert EVIL in root.all("img")[0].attributes["alt"]
    assert [link.attributes["href"] for link in root.all("a")] == ["#section-1", "#section-2"]
    assert base64.b64decode(root.all("img")[0].attributes["src"].partition(",")[2]).decode() == SVG


def test_every_block_shows_what_it_holds():
    root = read_page(page(document("words")))
    (table,) = root.all("table")
    rows = [[cell.text for cell in row.children if not isinstance(cell, str)] for row in table.all("tr")]
    assert rows == [["words", "ab"], ["heading"], ["wordswords", "123"]]
    assert [th.attributes["scope"] for th in table.all("th")] == ["col", "col", "colgroup", "row"]
    assert table.all("td")[0].attributes == {"class": "better"}
    first, second = root.all("li")[-2:]
    assert [mark.text for mark in first.all("mark")] == ["words"]
    assert first.text == "words restwords distance 2 of 5" and second.text == "xx a copy"
    assert [e.text for e in root.all("details")] == ["words\nwords\n"]


def test_wide_tables_and_pictures_scroll_and_say_so():
    """On a narrow screen: in a box with a shadow where there is more, and in words."""
    root = read_page(page(document("words")))
    boxes = [e for e in root.all("div") if e.attributes.get("class") == "scroll"]
    (table,) = root.all("table")
    assert any(table in box.all("table") for box in boxes)
    (style,) = root.all("style")
    assert ".scroll, pre { overflow-x: auto;" in style.text
    assert "var(--shadow)" in style.text and "wide tables scroll sideways" in style.text


def test_nothing_can_be_loaded():
    root = read_page(page(document("x")))
    policy = [m.attributes for m in root.all("meta") if "http-equiv" in m.attributes]
    assert policy[0]["content"].startswith("default-src 'none'")


def test_markdown_says_the_same_and_text_stays_text():
    text = markdown(document(EVIL))
    assert re.search(r"(?<!\\)<(?!`)", text.replace(EVIL, "")) is None  # but in the block of code
    plain = markdown(document("words"))
    assert plain.splitlines()[:3] == ["# words", "", "words"]
    lines = [line for line in plain.splitlines() if line.startswith("|")]
    assert lines == ["| words | a b |", "| --- | ---: |", "| heading |  |", "| words words | 1 2 3 |"]
    assert "```\nwords\n```" in plain
    assert "1. words rest (distance 2 of 5: words)" in plain
    columns = [re.split(r"(?<!\\)\|", line) for line in text.splitlines() if line.startswith("| ")]
    assert {len(cells) for cells in columns} == {4}


def test_a_fence_is_longer_than_what_it_holds():
    text = markdown(Document("t", "s", [Section("x", [Code("a\n```\nb")])]))
    assert "\n````\na\n```\nb\n````\n" in text


@pytest.mark.parametrize(
    ("text", "tokens", "marked", "expected"),
    [
        (
            "The cat sat.",
            ["The", "cat", "sat", "."],
            {1, 2},
            [("The ", False), ("cat sat", True), (".", False)],
        ),
        ("a cat", ["a", "cat"], {0, 1}, [("a cat", True)]),
        ("cat a cat", ["cat", "a", "cat"], {2}, [("cat a ", False), ("cat", True)]),
        (
            'say "x"',
            ["say", "``", "x", "''"],
            {0, 1, 2},
            [("say", True), (' "', False), ("x", True), ('"', False)],
        ),
        ("", [], set(), []),
    ],
)
def test_marks_lie_on_whole_tokens(text, tokens, marked, expected):
    found = pieces(text, tokens, marked)
    assert found == expected
    assert "".join(part for part, _ in found) == text
