"""What is measured: one row per case, for CPU and GPU alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

CPU = ("cpu",)
CUDA = ("cuda",)
BOTH = ("cpu", "cuda")


@dataclass(frozen=True)
class Case:
    """One call: `op` is max, min, sum, avg or lp (p = 2), also after `global_`, or avg or max after `adaptive_`.

    `shape` is (N, C, *spatial) whatever the layout; `window` is the output size of adaptive operators.
    """

    op: str
    shape: tuple[int, ...]
    window: int = 0
    stride: int = 0
    padding: int = 0
    dtype: str = "float32"
    layout: str = "channels_first"
    out_dtype: str | None = None
    devices: tuple[str, ...] = BOTH
    indices: bool = False  # the positions of maxima, too

    @property
    def dims(self) -> int:
        """Number of pooled axes."""
        return len(self.shape) - 2

    @property
    def is_global(self) -> bool:
        """Whether each plane becomes one element."""
        return self.op.startswith("global_")

    @property
    def is_adaptive(self) -> bool:
        """Whether `window` windows share each axis."""
        return self.op.startswith("adaptive_")

    @property
    def kind(self) -> str:
        """What is computed of each window: max, min, sum, avg or lp."""
        return self.op.rpartition("_")[2]

    @property
    def is_exact(self) -> bool:
        """Whether results are elements: compared bit for bit."""
        return self.kind in ("max", "min")

    @property
    def is_average(self) -> bool:
        """Whether the result is a mean: compared in ulp, not bit for bit."""
        return self.op.endswith("avg")

    @property
    def windows(self) -> tuple[int, ...]:
        """Window length per pooled axis."""
        return self.shape[2:] if self.is_global else (self.window,) * self.dims

    @property
    def taps(self) -> int:
        """Elements of the largest window."""
        if self.is_adaptive:  # of n elements in so many windows one has two more than the rounded down share, at most
            return prod(n // self.window + 2 * (n % self.window > 0) for n in self.shape[2:])
        return prod(self.windows)

    @property
    def strides(self) -> tuple[int, ...]:
        """Step per pooled axis."""
        return self.shape[2:] if self.is_global else (self.stride,) * self.dims

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the result as (N, C, *spatial)."""
        if self.is_adaptive:
            return self.shape[:2] + (self.window,) * self.dims
        sizes = zip(self.shape[2:], self.windows, self.strides, strict=True)
        return self.shape[:2] + tuple((n + 2 * self.padding - k) // s + 1 for n, k, s in sizes)

    @property
    def result_dtype(self) -> str:
        """Result's dtype: the input's for max and float averages, float32 or float64 for averages of integers."""
        if self.out_dtype is not None:
            return self.out_dtype
        if not self.is_average or "int" not in self.dtype:
            return self.dtype
        return "float32" if np.dtype(self.dtype).itemsize <= 2 else "float64"

    def in_layout(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(N, C, *spatial) as the array's own axis order."""
        return shape if self.layout == "channels_first" else (shape[0], *shape[2:], shape[1])

    @property
    def bytes(self) -> int:
        """Bytes that any implementation must move: the input read once, the output written once."""
        read = prod(self.shape) * np.dtype(self.dtype).itemsize
        return read + prod(self.out_shape) * (np.dtype(self.result_dtype).itemsize + 8 * self.indices)

    @property
    def id(self) -> str:
        """A name that says everything: `max2d-k3s2p1-32x64x112x112-float32-channels_first`."""
        window = (
            "" if self.is_global else f"-k{self.window}s{self.stride}" + (f"p{self.padding}" if self.padding else "")
        )
        window = f"-o{self.window}" if self.is_adaptive else window + ("-indices" if self.indices else "")
        dtype = self.dtype if self.out_dtype is None else f"{self.dtype}to{self.out_dtype}"
        return f"{self.op}{self.dims}d{window}-{'x'.join(map(str, self.shape))}-{dtype}-{self.layout}"

    @property
    def function(self) -> str:
        """Name of gpupool's public function."""
        return f"{self.op}_pool{self.dims}d"

    @property
    def kwargs(self) -> dict[str, Any]:
        """gpupool's arguments, without the array and `out`."""
        kwargs: dict[str, Any] = {"data_format": self.layout}
        if self.kind == "lp":
            kwargs["norm_type"] = 2
        if self.indices:
            kwargs["return_indices"] = True
        if self.is_adaptive:
            kwargs["output_size"] = self.window
        elif not self.is_global:
            kwargs |= {"kernel_size": self.window, "stride": self.stride, "padding": self.padding}
        if self.out_dtype is not None:
            kwargs["dtype"] = self.out_dtype
        return kwargs


# op, shape, (window, stride, padding): measured in float32, channels first and, with several channels, channels last.
FLOAT32_ROWS: list[tuple[str, tuple[int, ...], tuple[int, int, int]]] = [
    ("max", (16, 64, 224, 224), (2, 2, 0)),
    ("max", (1, 3, 2160, 3840), (2, 2, 0)),
    ("max", (1, 1, 8192, 8192), (2, 2, 0)),
    ("max", (32, 64, 112, 112), (3, 2, 1)),
    ("max", (32, 192, 28, 28), (3, 1, 1)),
    ("max", (16, 256, 20, 20), (5, 1, 2)),
    ("max", (16, 256, 20, 20), (9, 1, 4)),
    ("max", (16, 256, 20, 20), (13, 1, 6)),
    ("max", (1, 32, 200, 200), (3, 1, 1)),
    ("max", (1, 32, 200, 200), (31, 1, 15)),
    ("avg", (1, 32, 200, 200), (3, 1, 1)),
    ("avg", (1, 32, 200, 200), (31, 1, 15)),
    ("avg", (32, 256, 56, 56), (2, 2, 0)),
    ("avg", (8, 128, 35, 35), (3, 1, 1)),
    ("avg", (1, 1, 8192, 8192), (2, 2, 0)),
    ("global_avg", (64, 2048, 7, 7), (0, 0, 0)),
    ("global_avg", (32, 512, 56, 56), (0, 0, 0)),
    ("global_avg", (1, 8, 4096, 4096), (0, 0, 0)),
    ("global_max", (32, 512, 56, 56), (0, 0, 0)),
    ("max", (64, 128, 8000), (3, 2, 0)),
    ("max", (2, 32, 64, 96, 96), (2, 2, 0)),
    ("max", (1, 3, 32, 32), (2, 2, 0)),
]

# The same for operators with a peer of their own or none; `True` asks for indices.
OPERATOR_ROWS: list[tuple[str, tuple[int, ...], tuple[int, int, int], bool]] = [
    ("max", (16, 64, 224, 224), (2, 2, 0), True),
    ("max", (32, 64, 112, 112), (3, 2, 1), True),
    ("max", (32, 192, 28, 28), (3, 1, 1), True),
    ("max", (16, 256, 20, 20), (5, 1, 2), True),
    ("min", (16, 64, 224, 224), (2, 2, 0), False),
    ("min", (32, 64, 112, 112), (3, 2, 1), False),
    ("sum", (32, 256, 56, 56), (2, 2, 0), False),
    ("sum", (8, 128, 35, 35), (3, 1, 1), False),
    ("lp", (32, 256, 56, 56), (2, 2, 0), False),
    ("lp", (8, 128, 35, 35), (3, 2, 0), False),
    ("adaptive_avg", (32, 256, 28, 28), (7, 0, 0), False),
    ("adaptive_avg", (16, 64, 112, 112), (50, 0, 0), False),
    ("adaptive_max", (32, 256, 28, 28), (7, 0, 0), False),
    ("adaptive_max", (16, 64, 112, 112), (50, 0, 0), False),
]

OTHER_CASES = [
    Case("max", (16, 64, 224, 224), 2, 2, dtype="float16"),
    Case("max", (16, 64, 224, 224), 2, 2, dtype="float16", layout="channels_last"),
    Case("max", (32, 64, 112, 112), 3, 2, 1, dtype="float16"),
    Case("max", (32, 64, 112, 112), 3, 2, 1, dtype="float16", layout="channels_last", devices=CUDA),
    Case("avg", (32, 256, 56, 56), 2, 2, dtype="float16"),
    Case("global_avg", (32, 512, 56, 56), dtype="float16"),
    Case("max", (16, 64, 224, 224), 2, 2, dtype="uint8"),
    Case("max", (1, 3, 2160, 3840), 2, 2, dtype="uint8", layout="channels_last"),
    Case("avg", (1, 3, 2160, 3840), 2, 2, dtype="uint8", layout="channels_last", out_dtype="uint8"),
    Case("avg", (1, 1, 8192, 8192), 2, 2, dtype="uint8", out_dtype="uint8"),
    Case("avg", (1, 1, 8192, 8192), 2, 2, dtype="uint16", out_dtype="uint16"),
    Case("max", (1, 1, 8192, 8192), 2, 2, dtype="uint16"),
    # The rows below have published figures on the H200.
    Case("max", (16, 128, 56, 56), 2, 2, devices=CUDA),
    Case("max", (4, 64, 32, 160, 160), 2, 2, dtype="float16", devices=CUDA),
    Case("max", (32, 80, 4096), 3, 3, dtype="float16", devices=CUDA),
    Case("avg", (2, 256, 32000), 5, 4, 2, dtype="float16", devices=CUDA),
    Case("global_max", (32, 512, 7, 7), devices=CUDA),
]

# Small enough for a test: every operator once, an odd size, both layouts.
SMOKE_CASES = [
    Case("max", (2, 3, 9, 10), 2, 2),
    Case("avg", (2, 3, 9, 10), 3, 2, 1, layout="channels_last"),
    Case("global_avg", (2, 3, 9, 10)),
    Case("avg", (1, 1, 8, 8), 2, 2, dtype="uint8", out_dtype="uint8"),
    Case("max", (2, 3, 9, 10), 3, 2, 1, indices=True),
    Case("max", (2, 3, 9, 10), 2, 2, layout="channels_last", indices=True),
    Case("min", (2, 3, 9, 10), 2, 2),
    Case("sum", (2, 3, 9, 10), 3, 1, 1),
    Case("lp", (2, 3, 9, 10), 2, 2),
    Case("adaptive_avg", (2, 3, 9, 10), 4),
    Case("adaptive_max", (2, 3, 9, 10), 4),
]


def _float32_cases() -> Iterator[Case]:
    for op, shape, (window, stride, padding) in FLOAT32_ROWS:
        yield Case(op, shape, window, stride, padding)
        if shape[1] > 1:
            yield Case(op, shape, window, stride, padding, layout="channels_last")


def _operator_cases() -> Iterator[Case]:
    for op, shape, window, indices in OPERATOR_ROWS:
        for layout in ("channels_first", "channels_last"):
            yield Case(op, shape, *window, layout=layout, indices=indices)


CASES: list[Case] = [*_float32_cases(), *OTHER_CASES, *_operator_cases()]


def select(device: str, pattern: str = "", *, smoke: bool = False) -> list[Case]:
    """Cases for `device` whose id contains `pattern`, in the table's order."""
    return [case for case in (SMOKE_CASES if smoke else CASES) if device in case.devices and pattern in case.id]
