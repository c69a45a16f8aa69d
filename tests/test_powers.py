"""Powers on the CPU in vectors: held to decimals of sixty digits, and to the rules for 0, infinities and NaN."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from numba import njit

from gpupool.kernels.cpu import raising

pytestmark = pytest.mark.cpu_only

EXPONENTS = [2.5, 1.5, 0.5, -0.5, -1.5, 5.0, 0.1, 9.25, 33.0, 1 / 3]
SPECIAL = [0.0, 5e-324, 1e-310, 2.0**-1022, 0.5, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 2.0, 1e300, np.inf, np.nan]


def elementwise(function, *fixed):
    """A compiled loop over x and p, in one function each."""

    @njit(error_model="numpy")
    def run(x, p, y):
        for i in range(len(x)):
            y[i] = function(x[i], p[i], *fixed)

    def call(x, p):
        y = np.empty(len(x))
        run(x, p, y)
        return y

    return call


full = elementwise(raising.power_in_full, 0.0)
brief = elementwise(raising.power_in_brief)
root = elementwise(raising.root_in_full)
growth = elementwise(raising.growth_in_full)


def exact(function, x, p):
    """What a function of decimals gives for these numbers."""
    with localcontext(prec=60, Emax=10**9, Emin=-(10**9)):
        return [function(Decimal(a), Decimal(b)) for a, b in zip(x.tolist(), p.tolist(), strict=True)]


def relative(got, want):
    """The largest relative error."""
    with localcontext(prec=60, Emax=10**9, Emin=-(10**9)):
        return max(float(abs(Decimal(g) - w) / w) for g, w in zip(got.tolist(), want, strict=True))


def inputs(rng, n):
    """Positive numbers of every size and near 1 and sqrt(2), and exponents that keep powers normal."""
    x = np.concatenate([
        np.exp2(rng.uniform(-1074, 1023, n)), np.exp2(rng.uniform(-10, 10, n)), np.exp2(rng.uniform(-1074, -1020, n)),
        1 + rng.uniform(-1, 1, n) * np.exp2(rng.uniform(-52, -1, n)),
        np.sqrt(2) * np.exp2(rng.integers(-30, 30, n)) * (1 + rng.uniform(-8, 8, n) * 2.0**-52),
    ])  # fmt: skip
    p = rng.choice(EXPONENTS, len(x)) * np.where(rng.random(len(x)) < 0.5, 1, rng.uniform(0.9, 1.1, len(x)))
    within = np.abs(p * np.log2(x)) < 1000
    return x[within], p[within]


def test_powers_within_two_units():
    x, p = inputs(np.random.default_rng(1), 200)
    assert relative(full(x, p), exact(lambda a, b: a**b, x, p)) < 1.5 * 2.0**-52


def test_brief_powers():
    """To 31 bits, of normal numbers."""
    x, p = inputs(np.random.default_rng(2), 200)
    x, p = x[x >= 2.0**-1022], p[x >= 2.0**-1022]
    assert relative(brief(x, p), exact(lambda a, b: a**b, x, p)) < 2.0**-31


def test_roots():
    """1 / p is carried along exactly: with it rounded, the error is hundreds of units."""
    x, p = inputs(np.random.default_rng(3), 200)
    p = np.abs(p)
    within = np.abs(np.log2(x) / p) < 1000
    x, p = x[within], p[within]
    assert relative(root(x, p), exact(lambda a, b: a ** (1 / b), x, p)) < 2 * 2.0**-52


def test_growth():
    """What is added to 1, to its own last digits however small it is."""
    rng = np.random.default_rng(4)
    u = np.concatenate([rng.random(200), np.exp2(-rng.uniform(0, 60, 200)), [2.0**-60, 0.4142135623730951, 1.0]])
    p = rng.choice([6.8, 10, 77.5, 300.0, 1e5], len(u))
    want = exact(lambda a, b: (1 + a) ** (1 / b) - 1, u, p)
    assert relative(growth(u, p), want) < 2.0**-50
    assert growth(np.zeros(1), np.full(1, 10.0))[0] == 0


@pytest.mark.parametrize("name", ["full", "brief"])
def test_numbers_that_are_none(name):
    """0, infinity and NaN, by any exponent; powers that overflow, vanish or are subnormal, by that for all numbers."""
    exponents = [0.5, 2.5, 5.0] if name == "brief" else [0.5, -0.5, 2.5, -2.5, 1e5, -1e5, 1e17, 1e300, -1e300, np.inf]
    x, p = (a.ravel() for a in np.meshgrid(SPECIAL, exponents))
    with np.errstate(all="ignore"):
        want = np.power(x, p)
    if name == "brief":
        known = (x == 0) | ~np.isfinite(x) | ((x >= 2.0**-1022) & np.isfinite(want) & (want >= 2.0**-1022))
        x, p, want = x[known], p[known], want[known]
    got = (full if name == "full" else brief)(x, p)
    none = ~np.isfinite(want) | (want == 0)
    np.testing.assert_array_equal(got[none], want[none])
    np.testing.assert_allclose(got[~none], want[~none], rtol=1e-9 if name == "brief" else 1e-15, atol=5e-324)


def test_negative_powers_in_brief():
    """Of infinity and NaN; 0 is nobody's."""
    np.testing.assert_array_equal(brief(np.array([np.inf, np.nan, 4.0]), np.full(3, -0.5)), [0.0, np.nan, 0.5])


def test_loops_are_vectors():
    """No call is left in a loop over powers: an element then takes a tenth of the time."""

    @njit(error_model="numpy")
    def run(x, y):
        for i in range(len(x)):
            y[i] = raising.power_in_full(x[i], 2.5, 0.0)

    run(np.ones(8), np.ones(8))
    code = run.inspect_llvm(run.signatures[0])
    assert "x double> @llvm.fma" in code
    assert "@llvm.pow" not in code
    assert "@pow(" not in code
