import io
import os
import random
from pathlib import Path

import numpy as np
import pytest

from seqgan.runtime.files import (
    as_value_error,
    check_new_folder,
    first_line,
    read_arrays,
    recover,
    remove_partial_files,
    transaction,
    write_atomically,
)


def test_a_full_disk_is_one_line(tmp_path):
    with Path("/dev/full").open("wb", 0) as full, pytest.raises(ValueError, match="No space left on device"):
        write_atomically(tmp_path / "x", lambda file: full.write(b"x"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(ValueError, match=r"file/x: cannot be written, what was there is unchanged: "):
        write_atomically(tmp_path / "file" / "x", lambda file: file.write(b"x"))
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError(), "ValueError"),
        (KeyError("policy"), "there is no 'policy'"),
        (ValueError("\x1b[31mred"), "\\x1b[31mred"),
        (ValueError("x" * 1000), "x" * 300),
    ],
)
def test_errors_become_one_line(error, line):
    assert first_line(error) == line
    with pytest.raises(ValueError) as caught, as_value_error("file: damaged"):
        raise error
    assert str(caught.value) == f"file: damaged: {line}"


def test_interruptions_are_no_errors():
    with pytest.raises(KeyboardInterrupt), as_value_error("file: damaged"):
        raise KeyboardInterrupt


def test_only_partial_files_are_removed(tmp_path):
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".odd.partial").mkdir()
    for name in (".gitignore", ".state.pt.k3.partial", "mine.partial", "state.pt"):
        (tmp_path / name).write_text("")

    def killed(file):
        file.write(b"half")
        assert len(list(tmp_path.glob(".*"))) == 5
        os._exit(9)

    if (child := os.fork()) == 0:
        write_atomically(tmp_path / "state.pt", killed)
    os.waitpid(child, 0)
    assert len(list(tmp_path.glob(".state.pt.*"))) == 2
    remove_partial_files(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".gitignore", ".hidden", ".odd.partial", "mine.partial", "state.pt"]
    remove_partial_files(tmp_path / "none")


NEW = {"checkpoints/state.pt": "new", "checkpoints/more/a": "new", "corpus/a": "new", "marker": "new"}
OLD = {"checkpoints/state.pt": "old", "kept": "old"}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_transaction_adds_and_replaces(tmp_path):
    write(tmp_path, OLD)
    with transaction(tmp_path) as staged:
        write(staged, NEW)
        assert {name: contents(tmp_path)[name] for name in OLD} == OLD
    assert contents(tmp_path) == OLD | NEW
    assert not list(tmp_path.glob(".*"))
    with transaction(tmp_path / "deep" / "folder") as staged:
        write(staged, NEW)
    assert contents(tmp_path / "deep" / "folder") == NEW


def test_a_transaction_that_fails_changes_nothing(tmp_path):
    write(tmp_path, OLD)
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), transaction(tmp_path) as staged:
            write(staged, NEW)
            raise error
        assert contents(tmp_path) == OLD
    with pytest.raises(ValueError, match="cannot be written, nothing has changed"), transaction(tmp_path):
        raise OSError(28, "No space left on device")
    assert contents(tmp_path) == OLD


@pytest.mark.slow
@pytest.mark.parametrize("call", ["mkdir", "rename", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_killed_at_any_moment_a_transaction_is_all_or_nothing(tmp_path, call, number):
    """The process dies before the given call of its kind; after recovery nothing is half there."""
    write(tmp_path, OLD)
    if (child := os.fork()) == 0:
        left, original = [number], getattr(Path, call)

        def dies(*arguments, **options):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return original(*arguments, **options)

        setattr(Path, call, dies)
        with transaction(tmp_path) as staged:
            write(staged, NEW)
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    marker_is_there = (tmp_path / "marker").exists()
    if marker_is_there:  # it comes last: all else is in its place
        assert {name: text for name, text in contents(tmp_path).items() if name in NEW} == NEW
    committed = (tmp_path / ".committed").exists()
    recover(tmp_path)
    assert contents(tmp_path) == (OLD | NEW if committed or not killed or marker_is_there else OLD)
    assert not list(tmp_path.glob(".*"))


@pytest.fixture(name="archive")
def arrays_file(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, a=np.arange(6, dtype=np.float32).reshape(2, 3), b=np.array(["x", "yz"]))
    return path


def test_arrays_are_read(archive):
    arrays = read_arrays(archive)
    assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["b"].tolist() == ["x", "yz"]


def test_damaged_arrays_are_one_line_or_the_same(archive, tmp_path):
    content, rng = archive.read_bytes(), random.Random(0)
    damaged = tmp_path / "damaged.npz"
    right = {name: array.tolist() for name, array in read_arrays(archive).items()}
    refused = 0
    for _ in range(300):
        changed = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        damaged.write_bytes(changed if rng.random() < 0.8 else changed[: rng.randrange(len(changed))])
        try:
            found = {name: array.tolist() for name, array in read_arrays(damaged).items()}
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"{damaged}: not a readable .npz file of numbers: ")
            assert "\n" not in str(error)
        else:
            assert list(found.values()) == list(right.values())  # names are text, and may be damaged
    assert refused > 200


def test_an_array_that_says_it_is_smaller_is_noticed(archive):
    """Its header is changed, and numpy would stop before it reaches the checksum."""
    content = archive.read_bytes()
    assert content.count(b"(2, 3)") == 1
    archive.write_bytes(content.replace(b"(2, 3)", b"(1, 3)"))
    with pytest.raises(ValueError, match=r"arrays\.npz: not a readable .* checksum of a\.npy does not match"):
        read_arrays(archive)


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.write(b""),
        lambda file: np.save(file, np.ones(3)),
        lambda file: np.savez(file, a=np.array([None])),
    ],
)
def test_other_files_are_refused(tmp_path, write):
    file = io.BytesIO()
    write(file)
    (tmp_path / "other.npz").write_bytes(file.getvalue())
    for name in ("other.npz", "none.npz"):
        with pytest.raises(ValueError, match=rf"{name}: not a readable .npz file of numbers: "):
            read_arrays(tmp_path / name)


@pytest.mark.parametrize("path", ["", ".", "runs/a\x7fb", "a\nb", "\x1b[2J"])
def test_folders_that_nobody_meant_are_refused(path):
    with pytest.raises(ValueError, match="^--run: ") as error:
        check_new_folder(Path(path), "--run")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("path", ["runs/mine", "/tmp/ä b", "../x"])
def test_other_folders_are_not(path):
    check_new_folder(Path(path), "--run")
