"""Rows of the table of cases: values that are hard to pool, and sizes that reach every loop."""

from itertools import product

import layouts
from case import row
from fills import FLOATS, INTEGERS


def specials():
    """NaN, infinities, zeros."""
    for position in range(9):
        yield row(
            f"max-nan-at-{position}",
            "max_pool2d",
            (3, 3),
            data=f"nan_at:{position}",
            kernel_size=3,
            return_indices=True,
        )
        yield row(f"avg-nan-at-{position}", "avg_pool2d", (3, 3), data=f"nan_at:{position}", kernel_size=3)
        yield row(
            f"max-nan-overlap-{position}",
            "max_pool1d",
            (9,),
            data=f"nan_at:{position}",
            kernel_size=3,
            stride=1,
            padding=1,
        )
    for position in range(4):
        yield row(f"global-max-nan-at-{position}", "global_max_pool1d", (4,), data=f"nan_at:{position}")
        yield row(f"global-avg-nan-at-{position}", "global_avg_pool1d", (4,), data=f"nan_at:{position}")
    for dtype, value in product(("float16", "float32", "float64", "bfloat16"), ("nan", "-inf", "inf", "-0.0")):
        yield row(
            f"max-all-{value}-{dtype}",
            "max_pool2d",
            (2, 4, 4),
            dtype,
            data=f"constant:{value}",
            kernel_size=3,
            stride=2,
            padding=1,
            return_indices=True,
        )
        yield row(
            f"avg-all-{value}-{dtype}",
            "avg_pool2d",
            (2, 4, 4),
            dtype,
            data=f"constant:{value}",
            kernel_size=3,
            stride=2,
            padding=1,
        )
    for dtype, data in product(FLOATS, ("special", "infinities", "signed_zeros", "subnormal")):
        yield row(
            f"max-{data}-{dtype}",
            "max_pool2d",
            (2, 4, 5),
            dtype,
            data=data,
            kernel_size=2,
            stride=1,
            return_indices=True,
        )
        yield row(f"avg-{data}-{dtype}", "avg_pool2d", (2, 4, 5), dtype, data=data, kernel_size=2, stride=1)
        yield row(f"global-max-{data}-{dtype}", "global_max_pool1d", (4, 6), dtype, data=data)
    for data in ("special", "signed_zeros"):
        yield row(f"max-same-{data}", "max_pool2d", (5, 5), data=data, kernel_size=3, stride=1, padding="same")
        yield row(f"global-avg-{data}", "global_avg_pool2d", (3, 2, 2), data=data)
    for target in ("uint8", "int64", "uint64"):
        yield row(f"avg-special-to-{target}", "avg_pool1d", (3, 8), data="special", kernel_size=2, dtype=target)


def accuracy():
    """Sums that overflow, stall or cancel in a narrow accumulator."""
    yield row("avg-float16-overflow", "avg_pool2d", (4, 4), "float16", data="constant:60000", kernel_size=4)
    yield row("global-avg-float16-stall", "global_avg_pool2d", (1, 50, 60), "float16", data="constant:1")
    yield row("global-avg-bfloat16-stall", "global_avg_pool2d", (1, 20, 30), "bfloat16", data="constant:1")
    for dtype in FLOATS:
        yield row(f"global-avg-positive-{dtype}", "global_avg_pool2d", (1, 20, 30), dtype, data="positive")
        yield row(f"avg-64-taps-{dtype}", "avg_pool2d", (9, 9), dtype, data="positive", kernel_size=8, stride=1)
        yield row(f"avg-65-taps-{dtype}", "avg_pool1d", (68,), dtype, data="positive", kernel_size=65, stride=1)
        yield row(f"avg-100-taps-{dtype}", "avg_pool2d", (11, 11), dtype, kernel_size=10, stride=1)
        yield row(
            f"avg-cancelling-{dtype}",
            "avg_pool2d",
            (6, 6),
            dtype,
            data="cancelling" if dtype != "float16" else "small",
            kernel_size=5,
            stride=1,
        )
    yield row("global-avg-cancelling", "global_avg_pool1d", (2, 300), data="cancelling")
    yield row("avg-float16-limits", "avg_pool1d", (8,), "float16", data="constant:65504", kernel_size=3, stride=1)
    yield row(
        "avg-divisor-overflow", "avg_pool1d", (8,), "float16", data="constant:60000", kernel_size=4, divisor_override=1
    )


def integers():
    """Exact sums, saturation, half to even."""
    for dtype in INTEGERS:
        for data in ("limits", "highest"):
            yield row(f"avg-{data}-{dtype}", "avg_pool1d", (3, 9), dtype, data=data, kernel_size=3, stride=2)
            yield row(
                f"avg-{data}-{dtype}-to-itself",
                "avg_pool1d",
                (3, 9),
                dtype,
                data=data,
                kernel_size=3,
                stride=2,
                dtype=dtype,
            )
        yield row(f"max-limits-{dtype}", "max_pool2d", (4, 6), dtype, data="limits", kernel_size=2, return_indices=True)
        yield row(f"half-even-{dtype}", "avg_pool1d", (40,), dtype, data="small", kernel_size=2, dtype=dtype)
        yield row(f"float-to-{dtype}", "avg_pool1d", (40,), "float32", data="eighths", kernel_size=2, dtype=dtype)
        yield row(
            f"negative-divisor-{dtype}",
            "avg_pool1d",
            (12,),
            dtype,
            data="limits",
            kernel_size=2,
            divisor_override=-1,
            dtype=dtype,
        )
    for dtype in ("int8", "uint32", "uint64"):
        yield row(f"float64-to-{dtype}", "avg_pool1d", (4, 8), "float64", data="eighths", kernel_size=4, dtype=dtype)
        yield row(f"saturating-{dtype}", "avg_pool1d", (12,), "int64", data="limits", kernel_size=2, dtype=dtype)
        yield row(f"global-avg-{dtype}-to-itself", "global_avg_pool2d", (2, 5, 4), dtype, dtype=dtype)
    for dtype, large in product(("int32", "int64"), ("-1", "1e30", "-1e30", "9.3e18", "-9.3e18")):
        yield row(f"float-{large}-to-{dtype}", "avg_pool1d", (4,), data=f"constant:{large}", kernel_size=2, dtype=dtype)
    for wide in ("1.8446744073709552e19", "1.8446742974197924e19", "-0.5", "9.3e18"):
        yield row(f"float-{wide}-to-uint64", "avg_pool1d", (4,), data=f"constant:{wide}", kernel_size=2, dtype="uint64")
    yield row("avg-int64-small-means", "avg_pool1d", (60,), "int64", data="small", kernel_size=3)
    yield row(
        "avg-int64-divisor-large",
        "avg_pool1d",
        (20,),
        "int64",
        data="limits",
        kernel_size=2,
        divisor_override=2**31 - 1,
    )
    yield row("avg-int64-divisor-negative", "avg_pool1d", (20,), "int64", kernel_size=2, divisor_override=1 - 2**31)
    yield row("avg-uint64-small", "avg_pool1d", (60,), "uint64", data="ties", kernel_size=3)
    yield row("avg-bool-3x3", "avg_pool2d", (6, 6), "bool", kernel_size=3, stride=1)
    yield row("avg-bool-to-uint8", "avg_pool2d", (6, 6), "bool", kernel_size=2, dtype="uint8")


def compiled_only():
    """Sizes that reach vector remainders, several tasks and several blocks."""
    for op, dtype in product(("max", "avg"), ("uint8", "float16", "float32", "float64", "int64")):
        for window, stride, pad in ((2, 2, 0), (3, 2, 1), (3, 1, 1), ((2, 5), (3, 2), ((1, 0), (2, 3)))):
            yield row(
                f"large-{op}-{dtype}-{window}-{stride}",
                f"{op}_pool2d",
                (2, 3, 37, 53),
                dtype,
                large=True,
                kernel_size=window,
                stride=stride,
                padding=pad,
            )
        yield row(
            f"large-{op}-{dtype}-last",
            f"{op}_pool2d",
            (2, 17, 19, 5),
            dtype,
            large=True,
            kernel_size=3,
            stride=2,
            padding=1,
            data_format="channels_last",
        )
        yield row(f"large-global-{op}-{dtype}", f"global_{op}_pool2d", (3, 5, 67, 61), dtype, large=True)
    for width in (1, 7, 31, 32, 33, 63, 64, 65, 127, 129):
        yield row(
            f"large-width-{width}",
            "max_pool2d",
            (3, 6, width),
            large=True,
            data="special",
            kernel_size=2,
            stride=1,
            padding=1,
            return_indices=True,
        )
        yield row(f"large-plane-{width}", "global_avg_pool1d", (70, width), large=True)
    for layout in layouts.EVERYTHING:
        yield row(
            f"large-memory-{layout}", "avg_pool2d", (2, 5, 23, 29), layout=layout, large=True, kernel_size=3, stride=2
        )
    yield row(
        "large-window", "max_pool2d", (2, 40, 40), large=True, data="special", kernel_size=25, stride=3, padding=12
    )
    yield row(
        "large-window-avg", "avg_pool2d", (2, 40, 40), large=True, data="positive", kernel_size=25, stride=3, padding=12
    )
    yield row("large-threads", "max_pool2d", (4, 60, 500), "uint8", large=True, kernel_size=2, stride=2)
    yield row("large-threads-avg", "avg_pool2d", (4, 60, 500), large=True, kernel_size=2, stride=2)
    yield row("large-3d", "avg_pool3d", (2, 9, 11, 13), large=True, kernel_size=3, stride=2, padding=1, ceil_mode=True)
