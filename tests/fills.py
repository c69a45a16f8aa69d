"""Values for the cases: each function fills one shape of one dtype, from a seeded generator.

A name may carry a parameter after a colon: "constant:60000", "nan_at:3".
"""

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64", "bfloat16")
DTYPES = ("bool", *INTEGERS, *FLOATS)


def dtype_of(name):
    """A NumPy dtype by name, bfloat16 included."""
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def kind(dtype):
    """'f' for every float, bfloat16 included (its own kind is 'V'), else NumPy's kind."""
    return "f" if dtype in FLOATS else np.dtype(dtype).kind


def random(rng, shape, dtype, parameter):
    """Anything of the dtype: normal floats of mixed magnitude, integers from the whole range."""
    if kind(dtype) == "f":
        return rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 4, shape)
    if kind(dtype) == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def ties(rng, shape, dtype, parameter):
    """Three different values, so that windows are full of equal elements."""
    return rng.integers(0, 2 if dtype == "bool" else 3, shape)


def small(rng, shape, dtype, parameter):
    """Small integers, negative ones where the dtype has them."""
    return rng.integers(0 if kind(dtype) in "bu" else -3, 2 if dtype == "bool" else 4, shape)


def eighths(rng, shape, dtype, parameter):
    """Multiples of 1/8: every sum and many means are exact, and many means are half integers."""
    return rng.integers(-40, 41, shape) / 8


def signed_zeros(rng, shape, dtype, parameter):
    """Zeros of both signs, and -1."""
    return rng.choice([0.0, -0.0, -1.0], shape)


def special(rng, shape, dtype, parameter):
    """NaN, both infinities and both zeros among the numbers."""
    return np.where(
        rng.random(shape) < 0.6,
        random(rng, shape, dtype, parameter),
        rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], shape),
    )


def infinities(rng, shape, dtype, parameter):
    """One sign of infinity among the numbers."""
    return np.where(rng.random(shape) < 0.8, random(rng, shape, dtype, parameter), np.inf)


def nan_at(rng, shape, dtype, parameter):
    """One NaN, at the flat position that the row names; the largest element comes first, then the smallest."""
    values = np.arange(np.prod(shape), dtype=np.float64)[::-1].copy()
    values[int(parameter)] = np.nan
    return values


def constant(rng, shape, dtype, parameter):
    """The value that the row names, everywhere."""
    return np.full(shape, float(parameter))


def limits(rng, shape, dtype, parameter):
    """The smallest and largest values of an integer dtype, and their neighbours."""
    info = np.iinfo(dtype)
    return rng.choice(np.array([info.min, info.min + 1, info.max - 1, info.max], dtype), shape)


def highest(rng, shape, dtype, parameter):
    """The largest values of an integer dtype: the sum of two does not fit."""
    return np.full(shape, np.iinfo(dtype).max, dtype) - rng.integers(0, 2, shape).astype(dtype)


def subnormal(rng, shape, dtype, parameter):
    """A few times the smallest float there is."""
    return rng.integers(-9, 10, shape) * float(ml_dtypes.finfo(dtype_of(dtype)).smallest_subnormal)


def cancelling(rng, shape, dtype, parameter):
    """Large numbers that cancel and leave small ones."""
    values = rng.standard_normal(shape)
    return values + rng.choice([1e6, -1e6], shape)


def positive(rng, shape, dtype, parameter):
    """Numbers in [0.5, 1): a sum that always rounds the same way shows every lost bit."""
    return rng.random(shape) / 2 + 0.5


def arange(rng, shape, dtype, parameter):
    return np.arange(np.prod(shape))


FILLS = {
    f.__name__: f
    for f in (
        random,
        ties,
        small,
        eighths,
        signed_zeros,
        special,
        infinities,
        nan_at,
        constant,
        limits,
        highest,
        subnormal,
        cancelling,
        positive,
        arange,
    )
}


def fill(name, rng, shape, dtype):
    """An array in C order: `name` is a function of this file, with its parameter after a colon."""
    function, _, parameter = name.partition(":")
    with np.errstate(over="ignore"):
        return np.asarray(FILLS[function](rng, shape, dtype, parameter)).astype(dtype_of(dtype)).reshape(shape)
