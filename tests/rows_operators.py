"""Rows of the table of cases that the table of operators makes: what holds for every operator, for each of them.

`max` and `avg` have their geometry in rows_geometry.py; the other operators get the shorter list here.
"""

from itertools import product

from case import row
from fills import DTYPES, FLOATS, INTEGERS

from gpupool.operators import OPERATORS

LONG = ("max", "avg")  # their rows are in rows_geometry.py and rows_values.py
OTHERS = tuple(op for op in OPERATORS if op not in LONG)
SPACE = {1: (7,), 2: (5, 4), 3: (3, 4, 3)}
POSITIONAL = {"lp": {"norm_type": 2}}  # parameters that the functions insist on

GEOMETRY = {
    "tiles": {"window": 2},
    "overlap": {"window": 3, "stride": 1},
    "gaps": {"window": 2, "stride": 3},
    "padded": {"window": 3, "stride": 2, "padding": 1},
    "lopsided": {"window": (3, 2), "stride": (2, 1), "padding": ((0, 2), (1, 0))},
    "same": {"window": (2, 3), "stride": (1, 2), "padding": "same"},
    "dilated": {"window": 2, "stride": 1, "dilation": (2, 3), "padding": ((1, 2), (0, 1))},
    "ceil": {"window": 3, "stride": 2, "ceil_mode": True},
    "long": {"window": (5, 7), "stride": 1, "padding": (2, 3)},
}


def windows(op):
    """The families of an operator with sliding windows, and what its functions must be given."""
    for family in OPERATORS[op].families:
        if not family.startswith("global"):
            yield family, POSITIONAL.get(op, {})


def geometry():
    """Every kind of window through `pool`, which takes all operators."""
    for op, (name, arguments) in product(OTHERS, GEOMETRY.items()):
        yield row(f"{op}-pool-{name}", "pool", (2, 6, 7), op=op, axes=(1, 2), **arguments)
    for op in OTHERS:
        yield row(f"{op}-pool-outer", "pool", (4, 2, 5), op=op, window=(2, 3), axes=(0, 2))
        yield row(f"{op}-pool-3d", "pool", (3, 4, 5), op=op, window=2, stride=1, padding=((1, 0), (0, 1), (0, 0)))
        yield row(f"{op}-pool-empty", "pool", (0, 4), op=op, window=2, axes=1)
        yield row(f"{op}-pool-out", "pool", (4, 6), "uint8", out="step", op=op, window=2)


def functions():
    """Every public function that the table names, with channels first and last."""
    for op in OTHERS:
        for (family, given), n in product(windows(op), (1, 2, 3)):
            name = f"{family}{n}d"
            yield row(f"{name}-first", name, (2, *SPACE[n]), kernel_size=2, padding=1, stride=1, **given)
            yield row(f"{name}-last", name, (*SPACE[n], 3), kernel_size=2, data_format="channels_last", **given)
            if OPERATORS[op].indices:
                yield row(f"{name}-where", name, (2, *SPACE[n]), data="ties", kernel_size=2, return_indices=True)
        for family, n in product((f for f in OPERATORS[op].families if f.startswith("global")), (1, 2, 3)):
            name = f"{family}{n}d"
            yield row(f"{name}-keep", name, (2, *SPACE[n]))
            yield row(f"{name}-drop", name, (*SPACE[n], 2), data_format="channels_last", keepdims=False)


# Each dtype of an operator is a kernel that the CPU engine compiles: these stand for all.
SOME_DTYPES = {
    "lp": ("bool", "uint8", "int32", "uint64", *FLOATS),
    "any": ("bool", "int16", *FLOATS),
    "all": ("bool", "uint8"),
    "median": ("bool", "uint8", "int32", "int64", "uint64", *FLOATS),
    "mode": ("bool", "uint8", "int64", "uint64", *FLOATS),
}


def dtypes():
    """Every dtype, whatever the operator makes of it."""
    for op in OTHERS:
        for dtype in SOME_DTYPES.get(op, DTYPES):
            yield row(f"{op}-{dtype}", "pool", (2, 12), dtype, op=op, window=3, stride=2, axes=1)
            yield row(f"{op}-small-{dtype}", "pool", (3, 9), dtype, data="ties", op=op, window=2, stride=1)
    casts = (
        ("int16", "uint8"),
        ("int16", "uint64"),
        ("int16", "float16"),
        ("float32", "int64"),
        ("float64", "float16"),
    )
    for op, (dtype, target) in product(("sum", "lp"), casts):
        data = "eighths" if dtype in FLOATS else "small"
        yield row(f"{op}-{dtype}-to-{target}", "pool", (24,), dtype, data=data, op=op, window=3, dtype=target)


def values():
    """NaN, infinities, signed zeros, and what overflows a narrow accumulator."""
    for op, dtype, data in product(
        (o for o in OTHERS if o != "all"), FLOATS, ("special", "signed_zeros", "infinities", "subnormal")
    ):
        if (op, data, dtype) != ("lp", "subnormal", "float64"):  # whose squares are below what float64 holds
            where = {"op": op, "window": 2, "stride": 1, "axes": (1, 2)}
            yield row(f"{op}-{data}-{dtype}", "pool", (2, 4, 5), dtype, data=data, **where)
    for family in ("global_min_pool1d", "global_sum_pool1d", "global_lp_pool1d"):
        for data in ("special", "signed_zeros"):
            yield row(f"{family}-{data}", family, (6, 9), data=data)
    for position in range(9):
        yield row(
            f"min-nan-at-{position}",
            "min_pool2d",
            (3, 3),
            data=f"nan_at:{position}",
            kernel_size=3,
            return_indices=True,
        )
    for op, dtype in product(("sum", "lp"), FLOATS):
        yield row(f"{op}-65-taps-{dtype}", "pool", (70,), dtype, data="positive", op=op, window=65, stride=1)
        yield row(f"{op}-whole-{dtype}", f"global_{op}_pool2d", (1, 20, 30), dtype, data="positive")
    for dtype, p in product(("float16", "bfloat16"), (1, 2, 3, 4, 5, float("inf"))):
        yield row(f"lp-{p}-large-{dtype}", "lp_pool1d", (8,), dtype, data="constant:30000", norm_type=p, kernel_size=2)
    for dtype, p, size in (
        ("float16", 100, 60000), ("float16", 41.5, 6e-8), ("float16", 64, 60000), ("bfloat16", 50, 1e-30),
        ("float32", 50, 1e30), ("float32", 9, 1e-38), ("float64", 300, 1e9), ("int64", 20, -(2**62)),
        ("int16", 70, 30000),
    ):  # fmt: skip
        yield row(f"lp-{p}-far-{dtype}", "lp_pool1d", (8,), dtype, data=f"constant:{size}", norm_type=p, kernel_size=4)
    for dtype, data in product(("float16", "float32", "float64"), ("special", "signed_zeros", "subnormal", "random")):
        where = {"norm_type": 77.5, "kernel_size": 3, "stride": 2, "padding": 1}
        yield row(f"lp-77.5-{data}-{dtype}", "lp_pool2d", (2, 5, 6), dtype, data=data, **where)
    yield row("lp-77.5-whole", "global_lp_pool2d", (2, 9, 8), norm_type=77.5)
    for p, dtype in product((1, 2, 0.5, 3, 4, 2.5, float("inf")), ("float32", "int32", "float64")):
        yield row(f"lp-{p}-{dtype}", "lp_pool2d", (4, 6), dtype, norm_type=p, kernel_size=2)
    for p, data in product((2, 3, 4), ("constant:1e30", "constant:1e-30", "special", "subnormal")):
        yield row(f"lp-{p}-float32-{data}", "lp_pool1d", (6,), data=data, norm_type=p, kernel_size=3)
    for p in (3, 4):
        yield row(
            f"lp-{p}-float64-large", "lp_pool1d", (6,), "float64", data="constant:1e76", norm_type=p, kernel_size=3
        )
        yield row(f"lp-{p}-rows", "lp_pool2d", (2, 9, 70), norm_type=p, kernel_size=3, stride=2, padding=1)
    for dtype in INTEGERS:
        yield row(f"sum-limits-{dtype}", "sum_pool1d", (3, 9), dtype, data="limits", kernel_size=3, stride=2)
        yield row(f"min-limits-{dtype}", "min_pool2d", (4, 6), dtype, data="limits", kernel_size=2, return_indices=True)
        yield row(f"sum-limits-{dtype}-to-int8", "sum_pool1d", (12,), dtype, data="limits", kernel_size=2, dtype="int8")


def ranks():
    """Medians and modes: windows of every size, ties, and what mode ignores."""
    for op, data in product(("median", "mode"), ("ties", "random", "limits")):
        for window in (1, 2, 4, 9, 31):
            yield row(f"{op}-{data}-{window}-taps", "pool", (2, 40), "uint8", data=data, op=op, window=window, axes=1)
        yield row(f"{op}-{data}-7x5", f"{op}_pool2d", (14, 15), "uint8", data=data, kernel_size=(7, 5), stride=3)
    for data in ("arange", "constant:2"):
        yield row(f"median-{data}", "median_pool1d", (33,), data=data, kernel_size=16, stride=1)
    for target, dtype in (("uint8", "float32"), ("int64", "int64"), ("uint64", "uint64"), ("int16", "int16")):
        data = "eighths" if dtype == "float32" else "limits"
        yield row(f"median-{dtype}-to-{target}", "median_pool1d", (24,), dtype, data=data, kernel_size=2, dtype=target)
    for ignore in (0, 1, 2, 200):
        where = {"kernel_size": 3, "stride": 2, "padding": 1, "ignore": ignore}
        yield row(f"mode-ignore-{ignore}", "mode_pool2d", (2, 9, 8), "uint8", data="ties", **where)
    yield row("mode-ignore-all", "mode_pool1d", (6,), "int64", data="constant:-3", kernel_size=2, ignore=-3)
    yield row("mode-ignore-bool", "mode_pool1d", (12,), "bool", kernel_size=3, ignore=True)
    for dtype in ("float16", "float32"):
        yield row(f"mode-ignore-{dtype}", "mode_pool1d", (24,), dtype, data="ties", kernel_size=4, ignore=1.0)
    yield row("mode-ignore-large", "mode_pool1d", (24,), "uint64", data="limits", kernel_size=4, ignore=2**64 - 1)


def omitted():
    """nan_policy="omit": as padding; windows of nothing but NaN."""
    able = [op for op, one in OPERATORS.items() if one.nan_policy]
    for op, dtype in product(able, ("float16", "float32", "float64", "bfloat16")):
        kind = {"op": op, "nan_policy": "omit"}
        yield row(f"{op}-omit-{dtype}", "pool", (3, 40), dtype, data="special", window=3, stride=2, axes=1, **kind)
        yield row(f"{op}-omit-all-{dtype}", "pool", (6,), dtype, data="constant:nan", window=2, **kind)
    for op in able:
        kind = {"op": op, "nan_policy": "omit"}
        yield row(f"{op}-omit-padded", "pool", (5, 6), data="special", window=3, stride=1, padding=1, **kind)
        yield row(f"{op}-omit-uint8", "pool", (5, 6), "uint8", window=2, **kind)
        yield row(f"{op}-omit-whole", f"global_{op}_pool2d", (3, 4, 9), data="special", nan_policy="omit")
        yield row(f"{op}-omit-70", f"{op}_pool1d", (75,), data="special", kernel_size=70, stride=1, nan_policy="omit")
        yield row(f"{op}-omit-2d", f"{op}_pool2d", (6, 8), data="special", kernel_size=3, stride=1, nan_policy="omit")
    for op in (op for op in able if OPERATORS[op].indices):
        where = {"kernel_size": 3, "stride": 1, "nan_policy": "omit", "return_indices": True}
        yield row(f"{op}-omit-where", f"{op}_pool2d", (6, 8), data="special", **where)
        yield row(f"{op}-omit-where-all", f"{op}_pool1d", (6,), data="constant:nan", **where)
    for include, divisor in product((True, False), (None, 3, -2)):
        options = {"count_include_pad": include, "divisor_override": divisor, "nan_policy": "omit"}
        yield row(
            f"avg-omit-{include}-{divisor}", "avg_pool2d", (6, 5), data="special", kernel_size=2, padding=1, **options
        )


def compiled_only():
    """Sizes that reach vector remainders, several tasks and several blocks."""
    for op, dtype in product(("min", "sum", "lp"), ("uint8", "float16", "float32")):
        given = POSITIONAL.get(op, {})
        for window, stride, pad in ((2, 2, 0), (3, 2, 1), (3, 1, 1)):
            arguments = {"kernel_size": window, "stride": stride, "padding": pad, **given}
            yield row(
                f"large-{op}-{dtype}-{window}-{stride}", f"{op}_pool2d", (2, 3, 37, 53), dtype, large=True, **arguments
            )
        yield row(
            f"large-{op}-{dtype}-last", f"{op}_pool2d", (2, 17, 19, 5), dtype, large=True, kernel_size=3, stride=2,
            data_format="channels_last", **given,
        )  # fmt: skip
        yield row(f"large-global-{op}-{dtype}", f"global_{op}_pool2d", (3, 5, 67, 61), dtype, large=True)
    for op, window, dtype in product(("median", "mode"), (3, 15), ("uint8", "float32")):
        where = {"kernel_size": window, "stride": 4, "data": "ties" if op == "mode" else "random"}
        yield row(f"large-{op}-{window}-{dtype}", f"{op}_pool2d", (2, 37, 53), dtype, large=True, **where)
    for op in ("max", "min", "sum"):
        yield row(
            f"large-{op}-omit", f"{op}_pool2d", (2, 37, 53), data="special", large=True, kernel_size=3, stride=2,
            nan_policy="omit",
        )  # fmt: skip


FAMILIES = (geometry, functions, dtypes, values, ranks, omitted, compiled_only)
