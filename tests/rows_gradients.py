"""Calls whose gradients are tested: (function, shape of x, arguments). Tiny, because the simulator runs them too."""

FIRST, LAST = "channels_first", "channels_last"

# Arguments that every window operator takes: stride below, equal to and above the window, and everything around it.
WINDOWS = [
    ("2d", (2, 3, 6, 8), {"kernel_size": 2}),
    ("2d", (2, 7, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("2d", (1, 2, 6, 7), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ("2d", (2, 9, 11), {"kernel_size": 2, "stride": 3}),
    ("2d", (2, 8, 9), {"kernel_size": (3, 2), "stride": (1, 2), "dilation": (2, 3)}),
    ("2d", (7, 10), {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": ((1, 2), (0, 2))}),
    ("2d", (2, 7, 8), {"kernel_size": (4, 5), "stride": (2, 1), "padding": ((3, 1), (0, 4))}),
    ("2d", (2, 7, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True, "padding": ((0, 1), (1, 0))}),
    ("2d", (2, 6, 7, 3), {"kernel_size": 3, "stride": 2, "padding": 1, "data_format": LAST}),
    ("2d", (2, 5, 6, 2), {"kernel_size": 3, "stride": 1, "padding": "same", "data_format": LAST}),
    ("2d", (1, 9, 9), {"kernel_size": 7, "stride": 1, "padding": 3}),
    ("2d", (1, 8, 13), {"kernel_size": (1, 6), "stride": (1, 3)}),
    ("2d", (1, 5, 16), {"kernel_size": 5, "stride": 5, "ceil_mode": True}),
    ("1d", (3, 13), {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True}),
    ("1d", (11,), {"kernel_size": 3, "stride": 2, "dilation": 2}),
    ("1d", (2, 9, 3), {"kernel_size": 2, "stride": 1, "data_format": LAST}),
    ("3d", (2, 4, 5, 6), {"kernel_size": 2}),
    ("3d", (4, 5, 6), {"kernel_size": (2, 3, 3), "stride": (1, 2, 1), "padding": (1, 1, 0)}),
    ("3d", (1, 4, 5), {"kernel_size": 2, "stride": 1, "padding": 1}),
    ("3d", (1, 3, 4, 5, 2), {"kernel_size": 2, "stride": 1, "ceil_mode": True, "data_format": LAST}),
]
AVERAGES = [
    ("2d", (2, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ("2d", (2, 7, 8), {"kernel_size": 3, "stride": 1, "padding": ((2, 0), (0, 2)), "count_include_pad": False}),
    ("2d", (7, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True, "divisor_override": -4}),
    ("2d", (2, 7, 8, 3), {"kernel_size": 3, "padding": 1, "count_include_pad": False, "data_format": LAST}),
    ("3d", (3, 4, 5), {"kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": False, "dilation": 2}),
]
WHOLE = [
    ("2d", (2, 3, 5), {}),
    ("2d", (2, 3, 5), {"keepdims": False}),
    ("2d", (2, 3, 5, 2), {"keepdims": False, "data_format": LAST}),
    ("1d", (2, 7), {}),
    ("3d", (2, 2, 3, 4), {"keepdims": False}),
    ("3d", (2, 3, 4, 3), {"data_format": LAST}),
]

# What shares its engine with maxima or averages: fewer rows, each of another shape of window.
SOME = [WINDOWS[i] for i in (1, 4, 8, 13, 17)]

SLIDING = [("max", row) for row in WINDOWS] + [("avg", row) for row in WINDOWS + AVERAGES]
SLIDING += [(op, row) for op in ("min", "sum") for row in SOME]
SLIDING += [
    ("lp", (suffix, shape, {"norm_type": p, **arguments}))
    for p, (suffix, shape, arguments) in zip((2, 3, 1.5, 1, float("inf")), SOME, strict=True)
]
# Norms of overlapping windows, by exponents that are none, products and powers, in all ways that lines are dealt out.
SLIDING += [
    ("lp", (suffix, shape, {"norm_type": p, **arguments}))
    for p, (suffix, shape, arguments) in zip(
        (1, 3, 2.5, 4, 2, 1, 5), [WINDOWS[i] for i in (2, 2, 5, 9, 11, 14, 10)], strict=True
    )
]
GLOBAL = [(op, row) for op in ("max", "avg") for row in WHOLE]
GLOBAL += [(op, row) for op in ("min", "sum") for row in WHOLE[1:4]]
GLOBAL += [("lp", ("2d", (2, 3, 5, 2), {"norm_type": 4, "keepdims": False, "data_format": LAST}))]
ADAPTIVE = [
    (op, row)
    for op in ("max", "avg")
    for row in [
        ("2d", (2, 5, 7), {"output_size": (2, 3)}),
        ("2d", (2, 4, 6), {"output_size": 2}),
        ("2d", (1, 2, 3), {"output_size": (5, 7)}),
        ("2d", (2, 5, 7, 3), {"output_size": (3, None), "data_format": LAST}),
        ("2d", (2, 3, 4), {"output_size": (0, 2)}),
        ("1d", (3, 11), {"output_size": 4}),
        ("3d", (3, 4, 5), {"output_size": (2, 3, 2)}),
        ("3d", (1, 6, 1), {"output_size": (4, 1, 3)}),
    ]
]
