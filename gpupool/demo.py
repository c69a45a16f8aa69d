"""`gpupool demo`: a photograph pooled three ways, timed, and drawn next to the same thing in numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import gpupool as gp
from gpupool import device, images, picture
from gpupool.failure import CommandError, UsageError, missing_extra

PHOTO = "data/chelsea.png"  # 451 x 300 RGB, CC0, inside every scikit-image wheel: nothing is downloaded
WINDOW = 8
RUNS = 15


@dataclass(frozen=True)
class Row:
    """One line of the table, and the pooled photograph."""

    operation: str
    source: np.ndarray
    result: np.ndarray
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes read and written per second."""
        return (self.source.nbytes + self.result.nbytes) / self.seconds


def run(output: Path) -> None:
    """Pool the photograph, print the table, write the picture."""
    if output.suffix.lower() != ".png":
        raise UsageError(f"the picture is a .png file, so {str(output)!r} will not do")
    images.check_writable(output)
    photo = load_photo()
    chosen = device.choose("auto")
    print(f"Pooling a photograph on {chosen.label}. The first run also compiles the kernels.\n", flush=True)
    rows = pool_three_ways(photo, chosen)
    print("\n".join(table(rows, chosen.label)))
    with images.atomic(output) as handle:
        picture.draw(photo, WINDOW, *(row.result for row in rows)).save(handle, "PNG", optimize=True)
    print(f"\nWrote {output}: the three strategies side by side.")


def load_photo() -> np.ndarray:
    """scikit-image's photograph of a cat, read straight from its wheel (its own loader may go to the network)."""
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise CommandError('this needs scikit-image, which is not installed: pip install "gpupool[image]"')
    path = Path(found.submodule_search_locations[0]) / PHOTO
    if not path.is_file():
        raise CommandError(f"this scikit-image has no {PHOTO}: pip install --upgrade scikit-image")
    with missing_extra():
        return images.read(path).array


def pool_three_ways(photo: np.ndarray, chosen: device.Device) -> list[Row]:
    """The photograph after max, average and global average pooling, each timed on the device."""
    layout = "channels_last"  # an image file is height x width x channels
    operations: dict[str, Callable[[Any], Any]] = {
        f"max {WINDOW}x{WINDOW}": partial(gp.max_pool2d, kernel_size=WINDOW, data_format=layout),
        f"average {WINDOW}x{WINDOW}": partial(gp.avg_pool2d, kernel_size=WINDOW, dtype=np.uint8, data_format=layout),
        "global average": partial(gp.global_avg_pool2d, data_format=layout),
    }
    x = chosen.to_device(photo)
    return [Row(name, photo, *_timed(operation, x, chosen)) for name, operation in operations.items()]


def _timed(operation: Callable[[Any], Any], x: Any, chosen: device.Device) -> tuple[np.ndarray, float]:
    """The result, and the median time of a call that has finished on the device."""
    result = chosen.to_host(operation(x))  # the warm-up: compiles, or loads from the disk cache
    times = []
    for _ in range(RUNS):
        chosen.synchronize()
        start = perf_counter()
        operation(x)
        chosen.synchronize()
        times.append(perf_counter() - start)
    return result, median(times)


def table(rows: list[Row], label: str) -> list[str]:
    """The lines to print."""
    cells: list[tuple[str, ...]] = [("device", "operation", "in", "out", "dtype", "time", "GB/s")]
    for row in rows:
        dtype = f"{row.source.dtype} -> {row.result.dtype}"
        shapes = ("x".join(map(str, array.shape)) for array in (row.source, row.result))
        cells.append((label, row.operation, *shapes, dtype, f"{row.seconds * 1e6:.0f} us", f"{row.rate / 1e9:.2f}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        "  ".join(map(str.ljust, line[:5], widths))
        + "".join(f"  {cell:>{width}}" for cell, width in zip(line[5:], widths[5:], strict=True))
        for line in cells
    ]
    note = f"time: median of {RUNS} calls after a warm-up; GB/s: bytes read and written. Small: overhead counts."
    return [aligned[0], "-" * len(aligned[0]), *aligned[1:], note]
