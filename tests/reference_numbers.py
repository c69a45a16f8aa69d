"""What the oracle knows about numbers: formats, ulps, one rounding. Shares nothing with gpupool."""

import math
from fractions import Fraction

import numpy as np

# name -> (bits of precision, smallest normal exponent, largest exponent)
FORMATS = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}
UNIT = 1074  # every finite float64 is an integer multiple of 2**-1074


def exponent(value):
    """floor(log2 |value|) of a non-zero Fraction."""
    guess = abs(value.numerator).bit_length() - value.denominator.bit_length()
    while Fraction(2) ** guess > abs(value):
        guess -= 1
    while Fraction(2) ** (guess + 1) <= abs(value):
        guess += 1
    return guess


def ulp(value, name):
    """Distance between neighbours of format `name` at |value|."""
    precision, lowest, _ = FORMATS[name]
    at = lowest if value == 0 else max(exponent(value), lowest)
    return Fraction(2) ** (at - precision + 1)


def nearest(value, name):
    """The float of format `name` nearest to a Fraction (ties to even), as a Python float."""
    step = ulp(value, name)
    rounded = round(value / step) * step  # Fraction.__round__ takes half to even
    limit = Fraction(2) ** (FORMATS[name][2] + 1)
    if abs(rounded) >= limit:
        return math.copysign(math.inf, rounded)
    return float(rounded)


def to_integer(value, dtype):
    """A mean as an integer: half to even, clamped to the range, NaN as 0."""
    info = np.iinfo(dtype)
    if isinstance(value, float):
        return 0 if math.isnan(value) else int(info.max if value > 0 else info.min)
    return min(max(round(value), int(info.min)), int(info.max))


def is_float(dtype):
    """Floating, ml_dtypes' bfloat16 included (its NumPy kind is 'V')."""
    return np.dtype(dtype).name in FORMATS


def mean_dtype(dtype):
    """Result dtype of an average without `dtype=`."""
    dtype = np.dtype(dtype)
    if is_float(dtype):
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)
