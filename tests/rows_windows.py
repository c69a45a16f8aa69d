"""Rows of the table of cases: windows that follow from the length of the result."""

from itertools import product

from case import row
from fills import DTYPES

SPACE = {1: (7,), 2: (5, 4), 3: (3, 4, 3)}


def adaptive():
    """Adaptive pooling: every relation of the two lengths, dimensions, dtypes, memory, NaN, ties, empty results."""
    for op, n in product(("max", "avg"), (1, 2, 3, 4, 5, 6, 7, 8, 11, 14, None)):
        yield row(f"adaptive-{op}-7-to-{n}", f"adaptive_{op}_pool1d", (2, 7), data="arange", output_size=(n,))
    for op, size in product(("max", "avg"), ((2, 3), (3, 4), (None, 3), (4, None), (1, 3), (6, 1), (7, 9), 1, 3)):
        name = f"adaptive_{op}_pool2d"
        yield row(f"{name}-{size}", name, (2, *SPACE[2]), output_size=size)
        yield row(f"{name}-last-{size}", name, (*SPACE[2], 3), output_size=size, data_format="channels_last")
    for n, op in product((1, 2, 3), ("max", "avg")):
        name = f"adaptive_{op}_pool{n}d"
        for leading in ((), (2,), (2, 1, 3)):
            yield row(f"{name}-lead{len(leading)}", name, leading + SPACE[n], output_size=2)
        yield row(f"{name}-special", name, (2, *SPACE[n]), data="special", output_size=2)
        yield row(f"{name}-omit", name, (2, *SPACE[n]), data="special", output_size=3, nan_policy="omit")
        yield row(f"{name}-out", name, (2, *SPACE[n]), out="step", output_size=2)
        yield row(f"{name}-empty-batch", name, (0, *SPACE[n]), output_size=2)
        yield row(f"{name}-empty-result", name, (2, *SPACE[n]), output_size=(0, 2, 3)[:n])
    for n, size in product((1, 2, 3), (2, 4)):
        name = f"adaptive_max_pool{n}d"
        for data in ("ties", "special"):
            last = {"data_format": "channels_last"} if data == "special" else {}
            yield row(
                f"{name}-indices-{data}-{size}",
                name,
                (*SPACE[n], 2) if last else (2, *SPACE[n]),
                data=data,
                output_size=size,
                return_indices=True,
                **last,
            )
    yield row("adaptive-indices-kept-axis", "adaptive_max_pool2d", (5, 4), output_size=(None, 3), return_indices=True)
    yield row("adaptive-indices-even", "adaptive_max_pool2d", (4, 6), output_size=(2, 3), return_indices=True)
    for dtype in DTYPES:
        yield row(f"adaptive-max-{dtype}", "adaptive_max_pool2d", (3, 5), dtype, output_size=2)
        yield row(f"adaptive-avg-{dtype}", "adaptive_avg_pool2d", (3, 5), dtype, data="small", output_size=2)
    yield row("adaptive-avg-to-int8", "adaptive_avg_pool1d", (7,), data="eighths", output_size=3, dtype="int8")
    for layout in ("F", "inner1", "reversed", "step", "mixed", "broadcast_last"):
        yield row(f"adaptive-memory-{layout}", "adaptive_avg_pool2d", (2, 3, 5, 3), layout=layout, output_size=2)
        yield row(
            f"adaptive-indices-memory-{layout}",
            "adaptive_max_pool2d",
            (2, 3, 5, 3),
            layout=layout,
            data="ties",
            output_size=2,
            return_indices=True,
        )
