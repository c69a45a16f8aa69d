"""Which gradients are measured, on the CPU (`backward`) and on a GPU (`gpu_backward`), and PyTorch's words for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any, NamedTuple

READS_X = ("max", "min", "lp", "fractional")  # gradients that depend on x, unless indices tell what they need of it
INDEX_BYTES = {"x": 0, "indices": 8, "offsets": 1}  # of each window: what the gradient starts from besides


class Case(NamedTuple):
    """One gradient: the function, the shape (N, C, *spatial) whatever the layout, and gpupool's arguments."""

    op: str
    shape: tuple[int, ...]
    arguments: tuple[float, ...] = ()  # kernel_size, stride, padding; norm_type, kernel_size, stride; or output_size
    source: str = "x"  # what maxima start from: x itself, or the indices or offsets that the forward gave
    layout: str = "channels_first"

    @property
    def id(self) -> str:
        """A name that says everything."""
        kinds = {"lp": "pks", "adaptive": "o", "fractional": "ko"}
        letters = kinds.get(self.op.partition("_")[0], "ksp")
        words = "".join(f"{k}{v}" for k, v in zip(letters, self.arguments, strict=False)) or "all"
        name = f"{self.op}_backward-{words}-{'x'.join(map(str, self.shape))}"
        name += "" if self.source == "x" else f"-from_{self.source}"
        return name + ("" if self.layout == "channels_first" else f"-{self.layout}")

    @property
    def kind(self) -> str:
        """max, avg, lp, fractional, ...: the operator without its reach."""
        return self.op.removeprefix("global_").removeprefix("adaptive_").partition("_")[0]

    @property
    def unpools(self) -> bool:
        """Whether the operator takes indices itself."""
        return "unpool" in self.op

    def in_layout(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(N, C, *spatial) as the array's own axis order."""
        return shape if self.layout == "channels_first" else (shape[0], *shape[2:], shape[1])

    def moved(self, windows: int, item: int = 4) -> int:
        """Bytes that any implementation must move: x where it matters, what is given of each window, the result."""
        reads = self.kind in READS_X and self.source == "x" and not self.unpools
        elements = prod(self.shape)
        given = elements * (item + 8) if self.unpools else windows * (item + INDEX_BYTES[self.source])
        return (reads + 1) * elements * item + given


BIG = (16, 64, 112, 112)
GPU_CASES = [
    Case("max_pool2d", BIG, (2, 2, 0)),
    Case("max_pool2d", BIG, (3, 2, 1)),
    Case("max_pool2d", BIG, (3, 1, 1)),
    Case("avg_pool2d", BIG, (2, 2, 0)),
    Case("avg_pool2d", BIG, (3, 1, 1)),
    Case("avg_pool2d", BIG, (3, 2, 1)),
    Case("avg_pool2d", BIG, (7, 7, 0)),
    Case("adaptive_avg_pool2d", BIG, (50,)),
    Case("adaptive_max_pool2d", BIG, (50,)),
    Case("adaptive_avg_pool2d", BIG, (1,)),
    Case("max_pool2d", (16, 256, 20, 20), (5, 1, 2)),
    Case("min_pool2d", BIG, (3, 2, 1)),
    Case("sum_pool2d", BIG, (3, 2, 1)),
    Case("lp_pool2d", BIG, (1, 2, 2)),
    Case("lp_pool2d", BIG, (2, 2, 2)),
    Case("lp_pool2d", BIG, (2, 3, 2)),
    Case("lp_pool2d", BIG, (3, 2, 2)),
    Case("global_avg_pool2d", BIG),
    Case("global_max_pool2d", BIG),
    Case("max_pool1d", (64, 128, 8000), (3, 2, 0)),
    Case("avg_pool1d", (64, 128, 8000), (3, 2, 0)),
    Case("max_pool3d", (2, 32, 64, 96, 96), (2, 2, 0)),
    Case("avg_pool3d", (2, 32, 64, 96, 96), (2, 2, 0)),
]

LAYER = (4, 64, 112, 112)
LAYOUTS = ("channels_first", "channels_last")
WINDOWS = ((2, 2, 0), (3, 1, 1), (3, 2, 1), (5, 1, 2))
SOURCES = (
    ("max", "x"), ("max", "indices"), ("max", "offsets"), ("min", "x"), ("avg", "x"), ("sum", "x"),
)  # fmt: skip
# Operators with a window rule of their own, or without one: arguments, and what they start from.
OTHERS: list[tuple[str, tuple[int, ...], tuple[float, ...], str]] = [
    ("adaptive_avg_pool2d", LAYER, (50,), "x"),
    ("adaptive_avg_pool2d", LAYER, (7,), "x"),
    ("adaptive_max_pool2d", LAYER, (50,), "x"),
    ("adaptive_max_pool2d", LAYER, (50,), "indices"),
    ("adaptive_max_pool2d", LAYER, (7,), "x"),
    ("global_avg_pool2d", LAYER, (), "x"),
    ("global_max_pool2d", LAYER, (), "x"),
    ("max_unpool2d", (4, 64, 56, 56), (2, 2), "x"),
    ("fractional_max_pool2d", LAYER, (2, 56), "x"),
    ("fractional_max_pool2d", LAYER, (3, 50), "indices"),
    ("max_pool1d", (32, 64, 2000), (3, 2, 0), "x"),
    ("avg_pool1d", (32, 64, 2000), (3, 2, 0), "x"),
    ("max_pool3d", (1, 32, 32, 64, 64), (2, 2, 0), "x"),
    ("avg_pool3d", (1, 32, 32, 64, 64), (2, 2, 0), "x"),
    ("lp_pool3d", (1, 32, 32, 64, 64), (3, 2, 2), "x"),
]


def _cases() -> Iterator[Case]:
    for layout in LAYOUTS:
        for (kind, source), window in product(SOURCES, WINDOWS):
            yield Case(f"{kind}_pool2d", LAYER, window, source, layout)
        for p, (k, s, _) in product((2, 3, 4, 2.5), WINDOWS):
            yield Case("lp_pool2d", LAYER, (p, k, s), "x", layout)
        for op, shape, arguments, source in OTHERS:
            yield Case(op, shape, arguments, source, layout)


CASES = list(_cases())
TINY = (2, 3, 9, 10)
SMOKE = [
    Case("max_pool2d", TINY, (2, 2, 0)),
    Case("max_pool2d", TINY, (3, 2, 1), "indices"),
    Case("max_pool2d", TINY, (3, 1, 1), "offsets", "channels_last"),
    Case("adaptive_avg_pool2d", TINY, (4,)),
    Case("min_pool2d", TINY, (3, 1, 1)),
    Case("sum_pool2d", TINY, (3, 1, 1), "x", "channels_last"),
    Case("lp_pool2d", TINY, (2.5, 2, 2)),
    Case("global_max_pool2d", TINY, (), "x", "channels_last"),
    Case("max_unpool2d", TINY, (2, 2), "x", "channels_last"),
    Case("fractional_max_pool2d", TINY, (2, 4)),
    Case("fractional_max_pool2d", TINY, (2, 4), "indices", "channels_last"),
    Case("max_pool1d", (2, 3, 17), (3, 2, 0)),
    Case("avg_pool3d", (2, 3, 5, 6, 7), (2, 2, 0)),
]


def torch_operator(torch: Any, case: Case) -> Callable[..., Any]:
    """PyTorch's operator, of a tensor and perhaps indices or samples: minima and sums as its users write them."""
    nn, (kind, _, rest) = torch.nn.functional, case.op.partition("_")
    a, axes = case.arguments, tuple(range(2, len(case.shape)))
    if kind == "min":
        return lambda x: -getattr(nn, f"max_{rest}")(-x, *a)
    if kind == "sum":
        return lambda x: getattr(nn, f"avg_{rest}")(x, *a, divisor_override=1)
    if kind == "global":
        return lambda x: (torch.mean if "avg" in rest else torch.amax)(x, axes, keepdim=True)
    public = getattr(nn, case.op)
    if kind == "fractional":
        return lambda x, samples: public(x, *a, _random_samples=samples)
    return lambda x, *indices: public(x, *indices, *a)
