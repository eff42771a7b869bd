"""The README and docs/ are true: what they show runs, what they name exists."""

import re
import shutil

import pytest

from seqgan import cli
from seqgan.experiment.catalogue import find_catalogue
from seqgan.experiment.materials import MATERIALS
from seqgan.studies import pages
from tests.documents import PAGES, ROOT, Installation, blocks

pytestmark = pytest.mark.slow

README = ROOT / "README.md"
EXTENDING = ROOT / "docs" / "extending.md"
LONG = [command for page in PAGES for block in blocks(page) if block.long for command in block.commands]


def ids(page):
    return page.name


def write_file(block, folder):
    (folder / block.file).write_text(block.text, encoding="utf-8")


def execute(command, block):
    """Run a command in this process."""
    assert command.name, f"{block.page.name}:{block.line}: {command.words} is no command of ours"
    flags = command.small().flags
    assert cli.main([command.name, *flags], package=command.package) == 0, (
        f"{block.page.name}:{block.line}: {command.words}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != EXTENDING], ids=ids)
def test_what_a_page_shows_runs_in_its_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "seqgan" / "text" / "tiny.txt", tmp_path / "mine.txt")
    for block in blocks(page):
        if block.long:
            continue
        if block.file:
            write_file(block, tmp_path)
        elif block.language == "python":
            exec(compile(block.text, f"{page.name}:{block.line}", "exec"), {"__name__": page.stem})  # noqa: S102
        elif block.language == "bash":
            for command in block.commands:
                execute(command, block)


@pytest.mark.parametrize("command", LONG, ids=lambda command: " ".join(command.words))
def test_what_is_not_run_is_a_script_or_parses(command, capsys):
    if not command.name:
        assert (ROOT / command.words[0]).exists() or command.words[0] in ("git", "cd", "mkdir", "curl")
        return
    cli.parse(command.name, command.flags, find_catalogue(command.package))


def examples():
    """The examples of docs/extending.md: a file and the command that uses it."""
    file = None
    for block in blocks(EXTENDING):
        file = block if block.file else file
        if block.language == "bash" and file is not None:
            yield file, block
            file = None


@pytest.fixture(name="base", scope="module")
def pretrained_base(tmp_path_factory):
    """A folder with the run that the page starts from."""
    folder = tmp_path_factory.mktemp("extending")
    first = next(block for block in blocks(EXTENDING) if block.language == "bash")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in first.commands:
            execute(command, first)
    return folder


def folder_for(example, base, folder):
    """A working directory with the shared run and the example's file; returns its command."""
    file, block = example
    shutil.copytree(base, folder, dirs_exist_ok=True)
    write_file(file, folder)
    (command,) = block.commands
    return command.small()


def test_there_is_an_example_of_every_kind():
    headings = re.findall(r"^## (An? .*)$", EXTENDING.read_text(encoding="utf-8"), re.M)
    assert len(list(examples())) == len(headings) == 10


def test_a_file_from_outside_is_a_kind(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = folder_for(next(examples()), base, tmp_path)
    assert cli.main([command.name, *command.flags], package=command.package) == 0


@pytest.mark.slow
@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example[0].file)
def test_every_file_is_found_in_every_way_to_call_a_command(example, base, tmp_path):
    folder = tmp_path / "a folder"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = folder_for(example, base, folder)
    run = str(folder / command.value("--run"))
    installation = Installation(tmp_path / "installation")
    installation.call("script", "prepare", command.flags, folder)
    trained = installation.call("console", "train", ("--run", run), elsewhere)
    assert "all is done" in trained
    sentences = installation.call("module", "generate", ("--run", run, "--num-sentences", "2"), elsewhere)
    assert len(sentences.splitlines()) == 2


def test_every_material_is_listed():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", EXTENDING.read_text(encoding="utf-8"), re.M))
    assert rows == MATERIALS


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_paths_and_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:scripts|data|seqgan|leakgan|docs|tests)/[\w./-]*)`", text):
        if not path.startswith(("data/prepared", "data/downloads")):
            assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if link.startswith("http"):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found), link


def anchors(page):
    """The anchors that a forge gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_generated_pages_are_up_to_date(tmp_path):
    assert pages.main([str(tmp_path)]) == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["metrics.md", "settings.md"]
    for name in written:
        now, committed = ((folder / name).read_text(encoding="utf-8") for folder in (tmp_path, ROOT / "docs"))
        assert now == committed, f"docs/{name} is out of date: python -m seqgan.studies.pages"


def test_the_readme_is_short_and_names_every_page_and_command():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in text, page.name
    shown = {command.name for page in PAGES for block in blocks(page) for command in block.commands}
    assert set(cli.COMMANDS) <= shown
