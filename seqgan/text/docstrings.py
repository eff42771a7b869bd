"""English sentences from the docstrings of the running Python's standard library.

Nothing is imported or run: the sources are parsed. The same Python version always gives the same
sentences, in the same order; another version gives slightly different ones.
"""

import ast
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

SKIPPED_FOLDERS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}

MIN_WORDS, MAX_WORDS = 3, 40

_BREAK = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Mr|Dr|al|resp|approx|incl|[A-Z])|\.\.)\.$")
_MARKUP = re.compile(r"(?::[a-z]+:)?(`{1,2}|\*{1,2})(?=\S)([^`*]*[^`*\s])(?:\1|')")
_BULLET = re.compile(r"^[-*+•]\s+")
_LIST_ITEM = re.compile(r"(?:[-*+•]|\(?[0-9a-z]{1,2}[.)])\s|[@:]\w|>>>|\.\.[ \t]|\$ ")
_WORD = re.compile(r"[A-Za-z]+(?:[-'/][A-Za-z]+)*|e\.g\.|i\.e\.")
_PLAIN = re.compile(r"[A-Z](?:[A-Za-z0-9 ,;:'\"()/-]|\b[ei]\.[ge]\.(?=[ ,]))*\.")
_NOTE_TO_SELF = re.compile(r"\b(?:XXX|TODO|FIXME)\b")
_HEADING = re.compile(r": | -")
_IDENTIFIER = re.compile(r"[a-z][A-Z]|[A-Z][a-z]+[A-Z]")
_FUNCTION_WORD = re.compile(
    r"\b(an?|and|are|as|at|be|been|but|by|can|does|for|from|has|have|if|in|into|is|its?|may|must|no|not|of|on|or"
    r"|should|so|than|that|the|their|then|there|these|they|this|to|was|when|which|will|with|you)\b",
    re.IGNORECASE,
)


def standard_library_sources(folder: Path | None = None) -> Iterator[Path]:
    """Yield the Python files of the standard library in sorted order; no tests, no installed packages."""
    root = Path(sysconfig.get_paths()["stdlib"]) if folder is None else folder
    for path in sorted(root.rglob("*.py")):
        if not SKIPPED_FOLDERS.intersection(path.relative_to(root).parts[:-1]):
            yield path


def docstrings_of(path: Path) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and functions; none when it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in other people's string literals
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring


def paragraphs(docstring: str) -> Iterator[str]:
    """Yield runs of equally indented lines, joined; a list item starts a new one, doctests are left out."""
    block: list[str] = []
    indent, in_example = 0, False
    for line in [*docstring.splitlines(), ""]:
        starts_item = _LIST_ITEM.match(line.lstrip())
        text = _BULLET.sub("", line.lstrip()).rstrip()
        this_indent = line.find(text)  # of the words, so that a bullet's next lines belong to it
        if block and (not text or this_indent != indent or starts_item):
            yield " ".join(block)
            block = []
        in_example = text.startswith(">>>") or (in_example and text != "")
        if text and not in_example:
            indent = this_indent
            block.append(text)


def split_sentences(paragraph: str) -> list[str]:
    """Split after a full stop, question or exclamation mark before a capital, except after abbreviations."""
    sentences = [""]
    for piece in _BREAK.split(paragraph):
        sentences[-1] = f"{sentences[-1]} {piece}".strip()
        if not _ABBREVIATION.search(piece):
            sentences.append("")
    return [sentence for sentence in sentences if sentence]


def plain_text(sentence: str) -> str:
    """Return the sentence without reStructuredText quotes and with single spaces."""
    return " ".join(_MARKUP.sub(r"\2", sentence).split())


def is_prose(sentence: str) -> bool:
    """Return whether it reads as English: plain words and punctuation, not code or a signature."""
    if not _PLAIN.fullmatch(sentence) or _NOTE_TO_SELF.search(sentence):
        return False
    words = sentence[:-1].split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        return False
    plain = [word for word in words if _WORD.fullmatch(word.strip(",;:'\"()"))]
    if len(plain) < 0.85 * len(words) or len(_IDENTIFIER.findall(sentence)) > 1:
        return False
    balanced = sentence.count("(") == sentence.count(")") and sentence.count('"') % 2 == 0
    return balanced and bool(_FUNCTION_WORD.search(sentence) or not _HEADING.search(sentence))


def standard_library_sentences(folder: Path | None = None) -> list[str]:
    """Return the distinct sentences in the order in which they are met."""
    found: dict[str, None] = {}
    for path in standard_library_sources(folder):
        for docstring in docstrings_of(path):
            for paragraph in paragraphs(docstring):
                for sentence in map(plain_text, split_sentences(paragraph)):
                    if is_prose(sentence):
                        found[sentence] = None
    return list(found)
