import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.shared_data import shared_data

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NAMES = [*[f"{matrix}_{gate}" for gate in "ifoc" for matrix in "WUb"], "W_out", "b_out"]


def download(folder: Path, base: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COCO_BASE_URL": f"file://{base}"}
    command = [SCRIPTS / "download_coco.sh", folder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path):
    if not shutil.which("curl") or not shutil.which("bash"):
        pytest.skip("needs curl and bash")
    (tmp_path / "web" / "data" / "testdata").mkdir(parents=True)
    (tmp_path / "web" / "data" / "image_coco.txt").write_bytes(shared_data("coco/train.txt").read_bytes())
    (tmp_path / "web" / "data" / "testdata" / "test_coco.txt").write_bytes(
        shared_data("coco/test.txt").read_bytes()
    )
    return tmp_path / "web"


def test_download_checks_and_keeps_both_files(repository, tmp_path):
    assert download(tmp_path / "coco", repository).returncode == 0
    assert sorted(path.name for path in (tmp_path / "coco").iterdir()) == ["test.txt", "train.txt"]
    shutil.rmtree(repository)  # what is there and right is not fetched again
    again = download(tmp_path / "coco", repository)
    assert again.returncode == 0 and "already there" in again.stdout


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_wrong_download_keeps_nothing(repository, tmp_path, damage):
    target = repository / "data" / "testdata" / "test_coco.txt"
    if damage == "changed":
        target.write_bytes(target.read_bytes() + b"x\n")
    else:
        target.unlink()
    result = download(tmp_path / "coco", repository)
    assert result.returncode == 2
    assert "test_coco.txt" in result.stderr
    assert list((tmp_path / "coco").iterdir()) == []


def convert(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPTS / "convert_oracle.py", source, target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def arrays(size: int = 7, width: int = 3, hidden: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    gates = [
        rng.normal(size=shape) for _ in "ifoc" for shape in ((width, hidden), (hidden, hidden), (hidden,))
    ]
    return [rng.normal(size=(size, width)), *gates, rng.normal(size=(hidden, size)), rng.normal(size=size)]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_conversion_keeps_every_array(tmp_path, protocol):
    (tmp_path / "o.pkl").write_bytes(pickle.dumps(arrays(), protocol))
    result = convert(tmp_path / "o.pkl", tmp_path / "new" / "o.npz")
    assert result.returncode == 0 and "NOT the official oracle" in result.stdout
    with np.load(tmp_path / "new" / "o.npz", allow_pickle=False) as archive:
        assert archive.files == ["embedding", *NAMES]
        for name, array in zip(archive.files, arrays(), strict=True):
            assert np.array_equal(archive[name], array.astype(np.float32))


def test_conversion_recognises_the_official_oracle(tmp_path):
    with np.load(shared_data("seqgan_oracle.npz")) as archive:
        official = [archive[name] for name in ["embedding", *NAMES]]
    (tmp_path / "o.pkl").write_bytes(pickle.dumps(official, 2))
    assert ": the official oracle" in convert(tmp_path / "o.pkl", tmp_path / "o.npz").stdout


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("pwned",))


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps([Evil()]),
        pickle.dumps([np.array([Evil()], dtype=object)]),
        pickle.dumps(arrays()[:-1]),
        pickle.dumps([*arrays()[:-1], np.zeros(3)]),
        pickle.dumps({"a": 1}),
        pickle.dumps(arrays())[:-30],
        b"not a pickle",
        b"",
    ],
)
def test_conversion_refuses_everything_else(tmp_path, content):
    (tmp_path / "o.pkl").write_bytes(content)
    result = convert(tmp_path / "o.pkl", tmp_path / "o.npz")
    assert result.returncode == 2
    assert (
        result.stderr.startswith(f"convert_oracle: {tmp_path / 'o.pkl'}: ") and result.stderr.count("\n") == 1
    )
    assert [path.name for path in tmp_path.iterdir()] == ["o.pkl"]
    assert not Path("pwned").exists()
