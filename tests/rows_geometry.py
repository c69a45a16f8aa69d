"""Rows of the table of cases: dtypes, dimensions, windows, memory."""

from itertools import product

import layouts
from case import row
from fills import DTYPES


def pictures():
    """DESIGN section 1: three filters of 4x4."""
    yield row("picture-max", "max_pool2d", (3, 4, 4), data="arange", kernel_size=2)
    yield row("picture-avg", "avg_pool2d", (3, 4, 4), data="arange", kernel_size=2)
    yield row("picture-global", "global_avg_pool2d", (3, 4, 4), data="arange")


# Each pair of dtypes is a kernel that the CPU engine compiles: these stand for all, each operator's own pairs aside.
CASTS = (
    ("bool", "float16"),
    ("uint8", "float64"),
    ("int32", "float32"),
    ("int64", "float16"),
    ("float32", "float16"),
    ("float32", "float64"),
    ("float64", "float16"),
    ("float64", "float32"),
)


def dtypes():
    """Every dtype through every operator."""
    for dtype in DTYPES:
        yield row(f"max-{dtype}", "max_pool2d", (2, 3, 5), dtype, kernel_size=2, stride=1)
        yield row(
            f"max-indices-{dtype}",
            "max_pool2d",
            (2, 4, 3),
            dtype,
            data="ties",
            kernel_size=2,
            stride=1,
            return_indices=True,
        )
        yield row(f"avg-{dtype}", "avg_pool2d", (2, 3, 5), dtype, kernel_size=(2, 3), stride=1, padding=1)
        yield row(f"global-avg-{dtype}", "global_avg_pool2d", (2, 3, 3), dtype)
        yield row(f"global-max-{dtype}", "global_max_pool2d", (2, 3, 3), dtype)
        if dtype != "bool":
            yield row(f"avg-small-{dtype}", "avg_pool1d", (2, 9), dtype, data="small", kernel_size=3, stride=2)
    for source, target in CASTS:
        data = "ties" if source in ("bool", "uint8") else "random"
        yield row(
            f"avg-{source}-to-{target}", "avg_pool1d", (9,), source, data=data, kernel_size=3, stride=1, dtype=target
        )
    yield row("global-avg-float64-to-float32", "global_avg_pool1d", (2, 7), "float64", dtype="float32")
    yield row("avg-bfloat16-to-float32", "avg_pool1d", (2, 8), "bfloat16", kernel_size=3, dtype="float32")


def dimensions():
    """1-D, 2-D and 3-D; no, one, two and three leading axes; channels first and last."""
    space = {1: (7,), 2: (5, 4), 3: (3, 4, 3)}
    for n, leading in product((1, 2, 3), ((), (2,), (2, 3), (1, 2, 2))):
        for op in ("max", "avg"):
            name = f"{op}_pool{n}d"
            yield row(f"{name}-lead{len(leading)}", name, leading + space[n], kernel_size=2)
            if leading:
                last = leading[:-1] + space[n] + leading[-1:]
                yield row(
                    f"{name}-last{len(leading)}", name, last, kernel_size=2, stride=1, data_format="channels_last"
                )
        for op, keepdims in product(("max", "avg"), (True, False)):
            if len(leading) in (0, 2):
                name, tag = f"global_{op}_pool{n}d", "keep" if keepdims else "drop"
                yield row(f"{name}-lead{len(leading)}-{tag}", name, leading + space[n], keepdims=keepdims)
    for n in (1, 2, 3):
        yield row(f"global-last-{n}", f"global_avg_pool{n}d", (2, *space[n], 3), data_format="channels_last")
        yield row(
            f"global-max-last-{n}", f"global_max_pool{n}d", (*space[n], 2), data_format="channels_last", keepdims=False
        )
        yield row(
            f"indices-{n}d", f"max_pool{n}d", (2, *space[n]), kernel_size=2, stride=1, padding=1, return_indices=True
        )
        yield row(
            f"indices-last-{n}d",
            f"max_pool{n}d",
            (*space[n], 3),
            kernel_size=2,
            data_format="channels_last",
            return_indices=True,
        )


def any_axes():
    """`pool` over any axes."""
    for op in ("max", "avg"):
        yield row(f"pool-{op}-every-axis", "pool", (4, 5), op=op, window=2)
        yield row(f"pool-{op}-one-axis", "pool", (6,), op=op, window=3)
        yield row(f"pool-{op}-last-two", "pool", (2, 4, 5), op=op, window=(3, 2))
        yield row(f"pool-{op}-first", "pool", (5, 3), op=op, window=2, axes=0)
        yield row(f"pool-{op}-outer", "pool", (4, 2, 5), op=op, window=(2, 3), axes=(0, 2))
        yield row(f"pool-{op}-negative-axes", "pool", (4, 3, 5), op=op, window=(2, 3), axes=(-3, -1), stride=(1, 2))
        yield row(
            f"pool-{op}-order-of-axes", "pool", (4, 3, 5), op=op, window=(3, 2), axes=(2, 0), padding=((1, 0), (0, 1))
        )
        yield row(f"pool-{op}-middle", "pool", (2, 5, 3), op=op, window=(2,), axes=(1,))
        yield row(f"pool-{op}-apart", "pool", (3, 2, 4, 2, 3), op=op, window=(2, 2, 2), axes=(0, 2, 4), stride=1)
        yield row(f"pool-{op}-five-axes", "pool", (2, 1, 3, 2, 4), op=op, window=(1, 1, 2, 1, 3), axes=(0, 1, 2, 3, 4))
        yield row(f"pool-{op}-stride-only", "pool", (5, 6), op=op, window=1, stride=(2, 3))
        yield row(f"pool-{op}-list", "pool", (4, 5), op=op, window=[2, 2], axes=[0, 1])


def geometry():
    """Stride, padding, dilation, ceil_mode, divisors."""
    for op in ("max", "avg"):
        name = f"{op}_pool2d"
        for window, stride in (
            ((2, 3), (3, 1)),
            ((3, 3), (1, 1)),
            ((3, 2), (2, 5)),
            ((1, 1), (2, 2)),
            ((5, 7), (1, 1)),
        ):
            yield row(f"{op}-window{window}-stride{stride}", name, (2, 5, 7), kernel_size=window, stride=stride)
        for padding in (1, (1, 0), ((1, 0), (0, 2)), ((0, 2), (2, 1)), "valid", "same", "same_lower"):
            yield row(f"{op}-padding-{padding}", name, (2, 4, 5), kernel_size=3, stride=2, padding=padding)
        for padding, shape in product(("same", "same_lower"), ((4, 4), (5, 6), (7, 3))):
            yield row(
                f"{op}-{padding}-{shape}",
                name,
                shape,
                kernel_size=(2, 3),
                stride=(1, 2),
                padding=padding,
                dilation=(1, 2),
            )
            yield row(
                f"{op}-{padding}-stride-over-window-{shape}", name, shape, kernel_size=2, stride=3, padding=padding
            )
        for shape, stride, pad in product(((5, 6), (4, 7)), (2, 3), (0, 1)):
            extra = {"count_include_pad": False} if op == "avg" and stride == 3 else {}
            yield row(
                f"{op}-ceil-{shape}-{stride}-{pad}",
                name,
                shape,
                kernel_size=3,
                stride=stride,
                padding=pad,
                ceil_mode=True,
                **extra,
            )
        yield row(f"{op}-padding-over-half", f"{op}_pool1d", (2, 5), kernel_size=3, padding=2, stride=1)
        yield row(f"{op}-window-over-axis", f"{op}_pool1d", (2, 2), kernel_size=4, padding=((1, 1),), stride=1)
        yield row(f"{op}-one-element", name, (1, 1, 1), kernel_size=1)
        yield row(
            f"{op}-ceil-asymmetric", f"{op}_pool1d", (6,), kernel_size=3, stride=2, padding=((0, 2),), ceil_mode=True
        )
        yield row(f"{op}-ceil-window-over-axis", f"{op}_pool1d", (3,), kernel_size=4, stride=2, ceil_mode=True)
        yield row(
            f"{op}-3d",
            f"{op}_pool3d",
            (1, 3, 4, 4),
            kernel_size=(2, 3, 2),
            stride=(1, 2, 2),
            padding=(1, 0, 1),
            dilation=(1, 1, 2),
        )
    for include, pad in product((True, False), (1, ((0, 1), (2, 0)), "same")):
        yield row(
            f"avg-count-{include}-{pad}",
            "avg_pool2d",
            (4, 5),
            kernel_size=3,
            stride=2,
            padding=pad,
            count_include_pad=include,
        )
        yield row(
            f"avg-count-{include}-{pad}-ceil-dilated",
            "avg_pool2d",
            (4, 5),
            kernel_size=2,
            stride=2,
            dilation=2,
            padding=pad,
            ceil_mode=True,
            count_include_pad=include,
        )
    for divisor in (1, 2, 7, -1, -3):
        yield row(f"avg-divisor{divisor}", "avg_pool2d", (2, 4, 5), kernel_size=2, padding=1, divisor_override=divisor)
        yield row(f"avg-divisor{divisor}-int32", "avg_pool1d", (2, 6), "int32", kernel_size=3, divisor_override=divisor)
        yield row(
            f"avg-divisor{divisor}-to-int16",
            "avg_pool1d",
            (2, 6),
            "int16",
            data="small",
            kernel_size=3,
            divisor_override=divisor,
            dtype="int16",
        )


def dilation():
    """Begin padding never breaks the phase of the taps: every (d, before) on a short axis."""
    for op, d, before in product(("max", "avg"), (1, 2, 3, 4), (0, 1, 2, 3, 4)):
        if before <= 2 * d:
            extra = {"count_include_pad": before % 2 == 0} if op == "avg" else {"return_indices": True}
            yield row(
                f"{op}-dilation{d}-before{before}",
                f"{op}_pool1d",
                (9,),
                data="arange",
                kernel_size=3,
                stride=1,
                dilation=d,
                padding=((before, 1),),
                **extra,
            )


def memory():
    """Every memory layout, in and out."""
    for layout in (*layouts.EVERYTHING, *layouts.BROADCAST):
        for op in ("max", "avg"):
            yield row(
                f"{op}-memory-{layout}", f"{op}_pool2d", (2, 3, 4, 3), layout=layout, kernel_size=2, stride=1, padding=1
            )
        yield row(f"global-avg-memory-{layout}", "global_avg_pool2d", (2, 3, 3, 2), layout=layout)
    for layout in ("inner1", "flip", "step", "mixed", "broadcast_last"):
        yield row(f"max-uint8-memory-{layout}", "max_pool2d", (2, 3, 4, 3), "uint8", layout=layout, kernel_size=2)
        yield row(f"avg-float16-memory-{layout}", "avg_pool2d", (2, 3, 4, 3), "float16", layout=layout, kernel_size=2)
        yield row(
            f"indices-memory-{layout}",
            "max_pool2d",
            (2, 3, 4, 3),
            layout=layout,
            data="ties",
            kernel_size=2,
            stride=1,
            return_indices=True,
        )
        yield row(
            f"last-memory-{layout}",
            "max_pool2d",
            (2, 4, 3, 3),
            layout=layout,
            kernel_size=2,
            data_format="channels_last",
        )
    for layout in ("F", "reversed", "offset"):
        yield row(f"max-1d-memory-{layout}", "max_pool1d", (3, 8), layout=layout, kernel_size=3, stride=2)
        yield row(f"avg-3d-memory-{layout}", "avg_pool3d", (2, 3, 3, 3), layout=layout, kernel_size=2, stride=1)
        yield row(f"pool-outer-memory-{layout}", "pool", (4, 2, 4), op="avg", window=2, axes=(0, 2), layout=layout)
    for out in ("C", "F", "inner1", "reversed", "step", "offset", "mixed", "guarded"):
        yield row(f"max-out-{out}", "max_pool2d", (2, 2, 4, 5), out=out, kernel_size=2)
        yield row(f"avg-out-{out}", "avg_pool2d", (2, 2, 4, 5), out=out, layout="mixed", kernel_size=2)
        yield row(f"global-avg-out-{out}", "global_avg_pool2d", (2, 3, 2, 2), out=out)
    yield row("global-max-out", "global_max_pool1d", (3, 4), out="step", keepdims=False)
    yield row("avg-out-int", "avg_pool1d", (2, 6), "uint8", out="step", kernel_size=2, dtype="uint8")
    yield row("pool-out", "pool", (4, 5), "int64", out="F", op="max", window=2)


def empty():
    """A size-0 leading axis."""
    for shape in ((0, 4, 4), (2, 0, 4, 4), (0, 0, 4, 4)):
        for op in ("max", "avg"):
            yield row(f"{op}-empty-{shape}", f"{op}_pool2d", shape, kernel_size=2)
        yield row(f"global-avg-empty-{shape}", "global_avg_pool2d", shape)
        yield row(f"global-max-empty-{shape}", "global_max_pool2d", shape, keepdims=False)
    yield row("max-empty-indices", "max_pool1d", (0, 6), kernel_size=2, return_indices=True)
    yield row("avg-empty-int", "avg_pool1d", (0, 6), "uint8", kernel_size=2)
    yield row(
        "avg-empty-last", "avg_pool1d", (2, 6, 0), "int32", kernel_size=2, data_format="channels_last", dtype="int16"
    )
    yield row("max-empty-memory", "max_pool2d", (0, 3, 4, 4), layout="F", kernel_size=2, out="F")
