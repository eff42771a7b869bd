"""Convert the official SeqGAN oracle parameters to a plain .npz file, without running what a pickle may hold.

Usage: python scripts/convert_oracle.py target_params_py3.pkl data/downloads/seqgan_oracle.npz

The input is ``save/target_params_py3.pkl`` of https://github.com/LantaoYu/SeqGAN: a pickled list of
numpy arrays. Only what numpy needs to rebuild an array may be called; anything else is an error.
"""

import argparse
import codecs
import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAMES = [
    *["embedding", "W_i", "U_i", "b_i", "W_f", "U_f", "b_f", "W_o", "U_o", "b_o", "W_c", "U_c", "b_c"],
    *["W_out", "b_out"],
]
# of the arrays of the official file, see content_digest
SHA_256 = "af56cdcb432b85bf8d5473f8f243ef3023e5172a968439dda3835e4e6b99225b"


class ArrayUnpickler(pickle.Unpickler):
    """Unpickles lists of numpy arrays and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Find the few callables that rebuild an array; numpy 1 and 2 keep them in different modules."""
        if (module, name) in [
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        ]:
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return codecs.encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no list of arrays needs")


def read_parameters(path: Path) -> dict[str, np.ndarray]:
    """Return the named float32 arrays in a pickled list.

    Raises:
        ValueError: The file is no such list.
    """
    try:
        with path.open("rb") as file:
            arrays = ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle fails in many ways
        raise ValueError(f"{path}: is no pickled list of arrays: {error}") from error
    if not isinstance(arrays, list) or not all(type(a) is np.ndarray and a.dtype.kind == "f" for a in arrays):
        raise ValueError(f"{path}: holds no list of arrays of real numbers")
    if len(arrays) != len(NAMES):
        raise ValueError(f"{path}: holds {len(arrays)} arrays; the oracle has {len(NAMES)}")
    parameters = {name: a.astype(np.float32) for name, a in zip(NAMES, arrays, strict=True)}
    check_shapes(parameters, path)
    return parameters


def check_shapes(parameters: dict[str, np.ndarray], path: Path) -> None:
    """Check that the arrays are those of an LSTM language model.

    Raises:
        ValueError: They are not.
    """
    if parameters["embedding"].ndim != 2 or parameters["U_i"].ndim != 2:
        raise ValueError(f"{path}: embedding and U_i must be matrices")
    (size, width), hidden = parameters["embedding"].shape, len(parameters["U_i"])
    shapes = {"embedding": (size, width), "W_out": (hidden, size), "b_out": (size,)}
    for gate in "ifoc":
        shapes |= {f"W_{gate}": (width, hidden), f"U_{gate}": (hidden, hidden), f"b_{gate}": (hidden,)}
    for name, shape in shapes.items():
        if parameters[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {parameters[name].shape}, not {shape}")


def content_digest(parameters: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of names and float32 values (little-endian, by rows), in the order of NAMES."""
    digest = hashlib.sha256()
    for name in NAMES:
        digest.update(name.encode() + parameters[name].astype("<f4").tobytes())
    return digest.hexdigest()


def main() -> None:
    """Read the arguments, convert, and say whether these are the official parameters."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pickle", type=Path, help="target_params_py3.pkl")
    parser.add_argument("npz", type=Path, help="file to write")
    arguments = parser.parse_args()
    try:
        parameters = read_parameters(arguments.pickle)
        arguments.npz.parent.mkdir(parents=True, exist_ok=True)
        partial = arguments.npz.with_name(f".{arguments.npz.name}.partial")
        with partial.open("wb") as file:
            np.savez(file, **parameters)  # type: ignore[arg-type]
        partial.replace(arguments.npz)
    except (ValueError, OSError) as error:
        print(f"convert_oracle: {error}", file=sys.stderr)
        sys.exit(2)
    digest = content_digest(parameters)
    origin = "the official oracle" if digest == SHA_256 else "NOT the official oracle"
    print(f"{arguments.npz}: {origin}, SHA-256 of its arrays {digest}")


if __name__ == "__main__":
    main()
