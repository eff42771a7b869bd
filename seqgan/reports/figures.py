"""Figures by matplotlib: one style, and SVG that is the same for the same content."""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqgan.runtime.files import write_atomically

# Told apart by everybody (Okabe and Ito 2008), also in grey by the markers that go with them.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DOTS_PER_INCH = 160
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "svg.fonttype": "path",  # the same on every machine, whatever its fonts
    "svg.hashsalt": "seqgan",
}


def require_matplotlib() -> None:
    """Fail early where nothing can be drawn.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ValueError(f"pictures need matplotlib: pip install 'seqgan[plots]' ({error})") from error


@contextmanager
def style() -> Iterator[None]:
    """Draw and write figures in the one style inside of the block.

    Raises:
        ValueError: matplotlib is not installed.
    """
    require_matplotlib()
    with importlib.import_module("matplotlib").rc_context(STYLE):
        yield


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """Return a figure of so many inches, and its axes: one, or an array of ``rows`` x ``columns``."""
    figure = importlib.import_module("matplotlib.figure").Figure((width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=rows == columns == 1)


def look(number: int) -> dict[str, str]:
    """Return colour and marker of the curve of that number."""
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}


def set_log_scale(axes: Any, *names: str) -> None:
    """Make the axes called ``x`` or ``y`` logarithmic, with plain numbers at their ticks."""
    ticker = importlib.import_module("matplotlib.ticker")
    for name in names:
        getattr(axes, f"set_{name}scale")("log")
        axis = getattr(axes, f"{name}axis")
        axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(ticker.LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))


def to_svg(figure: Any, *, transparent: bool = False) -> str:
    """Return the figure as an ``<svg>`` element, for a file or an image's data.

    In one page the ids of several would clash. ``transparent`` leaves out the white ground.
    """
    text = io.StringIO()
    with style():
        metadata = {"Date": None, "Creator": None}
        figure.savefig(text, format="svg", metadata=metadata, transparent=transparent)
    element = text.getvalue()
    return element[element.index("<svg") :]


def save_figure(figure: Any, path: Path) -> None:
    """Write the figure to a file, by the ending ``.svg`` or ``.png``.

    Raises:
        ValueError: The file cannot be written.
    """
    if path.suffix == ".svg":
        text = to_svg(figure)
        write_atomically(path, lambda file: file.write(text.encode()))
    else:
        options = {"format": "png", "dpi": DOTS_PER_INCH, "metadata": {"Software": None}}
        write_atomically(path, lambda file: figure.savefig(file, **options))
