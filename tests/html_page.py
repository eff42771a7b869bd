"""Reads a page back for tests: its elements, and whether it is whole."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "img", "br", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: "list[Element | str]" = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str) -> "list[Element]":
        found = [self] if self.tag == tag else []
        return found + [e for child in self.children if isinstance(child, Element) for e in child.all(tag)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"an attribute of {tag} is there twice"
        element = Element(tag, attributes)
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    """The root of a page, after asking what every page must be."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    (root,) = reader.open
    (html,) = root.all("html")
    assert text.startswith("<!DOCTYPE html>") and html.attributes["lang"] == "en"
    elements = [e for tag in _tags(root) for e in root.all(tag)]
    ids = [e.attributes["id"] for e in elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert not root.all("script") and not root.all("link")
    for element in elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith("data:image/svg+xml;base64,") or value.removeprefix("#") in ids
            if name in ("aria-labelledby", "for"):
                assert value in ids
    assert "url(" not in root.all("style")[0].text and "@import" not in root.all("style")[0].text
    assert all(image.attributes["alt"] for image in root.all("img"))
    assert all(cell.attributes.get("scope") for cell in root.all("th"))
    levels = [int(e.tag[1]) for e in elements_in_order(root) if e.tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    return root


def elements_in_order(element: Element) -> Iterator[Element]:
    for child in element.children:
        if isinstance(child, Element):
            yield child
            yield from elements_in_order(child)


def _tags(root: Element) -> dict[str, None]:
    return dict.fromkeys(element.tag for element in elements_in_order(root))
