"""Shapes: `output_shape` against windows laid down one by one, and against tables worked out by PyTorch's rule."""

import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import reference

import gpupool as gp

# (n, kernel, stride, padding, dilation, ceil_mode, length), each computed by hand from
#   floor((n + 2 p - d (k - 1) - 1 [+ s - 1]) / s) + 1, less one if the last window starts at or past n + p
PYTORCH = [
    (4, 2, 2, 0, 1, False, 2),
    (5, 2, 2, 0, 1, False, 2),
    (5, 2, 2, 0, 1, True, 3),
    (4, 2, 2, 0, 1, True, 2),
    (7, 3, 2, 1, 1, False, 4),
    (7, 3, 2, 1, 1, True, 4),
    (8, 3, 2, 1, 1, False, 4),
    (8, 3, 2, 1, 1, True, 5),
    (112, 3, 2, 1, 1, False, 56),
    (112, 3, 2, 1, 1, True, 57),
    (112, 3, 2, 0, 1, False, 55),
    (112, 3, 2, 0, 1, True, 56),
    (224, 2, 2, 0, 1, False, 112),
    (225, 2, 2, 0, 1, True, 113),
    (35, 8, 8, 0, 1, False, 4),
    (35, 8, 8, 0, 1, True, 5),
    # the last window would hold only end padding and overhang: dropped (pytorch#45357, #57178; onnxruntime#16351)
    (4, 2, 3, 1, 1, True, 2),
    (1, 1, 2, 0, 1, True, 1),
    (2, 1, 2, 0, 1, True, 1),
    (3, 1, 2, 0, 1, True, 2),
    (1, 2, 2, 1, 1, True, 1),
    (2, 2, 3, 1, 1, True, 1),
    (2, 2, 4, 1, 1, True, 1),
    (6, 1, 3, 0, 1, True, 2),
    (9, 3, 3, 1, 1, True, 4),
    (10, 3, 4, 1, 1, True, 3),
    (5, 4, 5, 2, 1, True, 2),
    (3, 4, 6, 2, 1, True, 1),
    (4, 3, 4, 1, 1, True, 2),
    (7, 5, 4, 2, 1, True, 3),
    # with ceil_mode a window may be longer than the axis, by less than a stride
    (3, 4, 2, 0, 1, True, 1),
    (3, 4, 4, 0, 1, True, 1),
    (2, 4, 3, 0, 1, True, 1),
    # a stride longer than the window (pytorch#183528): positions between windows belong to none
    (7, 2, 3, 0, 1, False, 2),
    (7, 2, 3, 0, 1, True, 3),
    (8, 2, 3, 0, 1, True, 3),
    (6, 2, 4, 0, 1, True, 2),
    # dilation: the extent is d (k - 1) + 1
    (9, 3, 1, 0, 2, False, 5),
    (9, 3, 2, 1, 2, False, 4),
    (9, 3, 2, 1, 2, True, 4),
    (9, 2, 2, 1, 3, True, 5),
    (10, 3, 3, 1, 3, True, 3),
]


@pytest.mark.parametrize(("n", "k", "s", "p", "d", "ceil", "length"), PYTORCH)
def test_pytorchs_table(n, k, s, p, d, ceil, length):
    assert gp.output_shape((2, n), (k,), stride=s, padding=p, dilation=d, ceil_mode=ceil) == (2, length)
    assert reference.output_shape((2, n), (k,), stride=s, padding=p, dilation=d, ceil_mode=ceil) == (2, length)


def outcome(function, *args, **kwargs):
    """The result, or the word "error"."""
    try:
        return function(*args, **kwargs)
    except ValueError:
        return "error"


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_every_small_axis(d, ceil):
    """Length, and the error for windows without a real element, for every small (n, k, s, before, after)."""
    seen = set()
    for n, k, s, before, after in product(range(1, 7), range(1, 5), range(1, 5), range(5), range(5)):
        arguments = {"stride": s, "padding": ((before, after),), "dilation": d, "ceil_mode": ceil}
        want = outcome(reference.output_shape, (n,), (k,), **arguments)
        assert outcome(gp.output_shape, (n,), (k,), **arguments) == want, (n, k, arguments)
        seen.add(want)
    assert {"error", (1,), (2,), (3,)} <= seen


@pytest.mark.parametrize("padding", ["same", "same_lower"])
def test_same_gives_ceil_of_n_over_s(padding):
    for n, k, s, d in product(range(1, 9), range(1, 5), range(1, 5), range(1, 4)):
        got = outcome(gp.output_shape, (n,), (k,), stride=s, padding=padding, dilation=d)
        assert got == outcome(reference.output_shape, (n,), (k,), stride=s, padding=padding, dilation=d), (n, k, s, d)
        assert got in ((-(-n // s),), "error")
        assert d > 1 or got != "error"


@pytest.mark.parametrize(
    ("shape", "window", "options", "want"),
    [
        ((8, 3, 225, 225), (3, 3), {"stride": 2, "padding": 1}, (8, 3, 113, 113)),
        ((5, 5), 2, {"ceil_mode": True}, (3, 3)),
        ((6, 5, 4), 2, {"axes": 0}, (3, 5, 4)),
        ((6, 5, 4), (2, 3), {"axes": (-1, 0)}, (2, 5, 2)),
        ((2, 3, 4, 5), (1, 1, 2, 2), {}, (2, 3, 2, 2)),
        ([4, 4], [2, 2], {"stride": [1, 2], "padding": [[1, 0], [0, 0]]}, (4, 2)),
        ((0, 6), (2,), {}, (0, 3)),
        ((7,), (3,), {"padding": "valid"}, (2,)),
    ],
    ids=str,
)
def test_arguments(shape, window, options, want):
    got = gp.output_shape(shape, window, **options)
    assert got == want
    assert all(type(n) is int for n in got)


@pytest.mark.parametrize(
    ("shape", "window", "options", "want"),
    [
        ((70_000, 70_000), 2, {}, (35_000, 35_000)),  # 4.9e9 elements
        ((2**31 + 1,), 2, {"ceil_mode": True}, (2**30 + 1,)),
        ((2**33,), 3, {"stride": 1, "padding": 1}, (2**33,)),
        ((65_536, 65_537, 3), (2, 2), {"axes": (0, 1)}, (32_768, 32_768, 3)),
        ((2**40, 2**40), 2**20, {"axes": 1}, (2**40, 2**20)),
        ((2**50,), 2, {"dilation": 2**49}, (2**48,)),
        ((2**50,), 2**25, {"stride": 2**24, "padding": "same"}, (2**26,)),
        ((5,), 1, {"stride": 2**61}, (1,)),
    ],
)
def test_sizes_past_32_bits(shape, window, options, want):
    """Python integers throughout: nothing wraps."""
    assert gp.output_shape(shape, window, **options) == want


@pytest.mark.parametrize(("taps", "dilation", "stride"), [(2**40, 2, 2), (2**30, 3, 6), (2**20, 2**20, 2**20)])
def test_checks_take_no_longer_for_larger_numbers(taps, dilation, stride):
    """The search for a window without a real element is bounded by the axis, not by the padding before it.

    One element, and padding so long that the last tap of window 0 meets it. In a process of its own: a search that is
    not bounded would never come back.
    """
    before = dilation * (taps - 1)
    call = f"gp.output_shape((1,), ({taps},), stride={stride}, dilation={dilation}, padding=(({before}, 0),))"
    done = subprocess.run(
        [sys.executable, "-c", f"import gpupool as gp; print({call})"],
        timeout=30,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "(1,)"


def test_a_checkout_finds_its_kernels(tmp_path):
    """Python that is started in a clone takes the clone's kernels, whatever is installed."""
    root = Path(gp.__file__).resolve().parent.parent
    for folder in ("gpupool", "kernels"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import gpupool.kernels.window as window; print(window.__file__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.stdout.strip() == str(tmp_path / "kernels" / "window.py"), found.stderr
