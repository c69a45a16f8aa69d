"""What kernels must not say: builtins that drop NaN, and flags that delete `v != v`."""

import ast
from pathlib import Path

import pytest

import gpupool.kernels

ROOT = Path(gpupool.kernels.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# numba-cuda drops NaN in max/min and njit's answer depends on the order of the arguments; sum() has no fixed order.
BANNED_NAMES = {"max", "min", "sum", "sorted"}
BANNED_ATTRIBUTES = {
    "max",
    "min",
    "sum",
    "mean",
    "amax",
    "amin",
    "fmax",
    "fmin",
    "nanmax",
    "nanmin",
    "maximum",
    "minimum",
    "argmax",
    "argmin",
}
# window.py is integers only; host code outside of kernels is marked by the name of its function
HOST_ONLY = {"cache.py", "compile.py", "launch.py", "user.py"}


def offences(source):
    """(line, what) for everything in a kernel's source that is banned."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in BANNED_NAMES and isinstance(node.ctx, ast.Load):
            yield node.lineno, f"builtin {node.id}"
        if isinstance(node, ast.Attribute) and node.attr in BANNED_ATTRIBUTES and not is_limit(node):
            yield node.lineno, f".{node.attr}"
        if isinstance(node, ast.keyword) and node.arg == "fastmath" and not is_false(node.value):
            yield node.value.lineno, "fastmath"
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "fastmath" and not is_false(value):
                    yield node.lineno, "fastmath"


def is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


def is_limit(node):
    """np.iinfo(...).max and .min are numbers, not reductions."""
    value = node.value
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in ("iinfo", "finfo")
    )


def test_there_are_kernels_to_look_at():
    names = {str(path.relative_to(ROOT)) for path in FILES}
    assert {"window.py", "reducers.py"} <= names
    assert {path.split("/")[0] for path in names if "/" in path} == {"cpu", "cuda"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_kernels_say_nothing_banned(path):
    host = path.name in HOST_ONLY
    found = [
        f"{path.name}:{line}: {what}" for line, what in offences(path.read_text()) if not host or what == "fastmath"
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def k(x):\n    return max(x[0], x[1])", "builtin max"),
        ("def k(x):\n    f = min\n    return f(x)", "builtin min"),
        ("def k(x):\n    return np.maximum(x, 0)", ".maximum"),
        ("def k(x):\n    return x.max()", ".max"),
        ("@njit(fastmath=True)\ndef k(x): pass", "fastmath"),
        ("@njit(fastmath={'nnan'})\ndef k(x): pass", "fastmath"),
        ("OPTIONS = {'nogil': True, 'fastmath': True}", "fastmath"),
    ],
)
def test_the_lint_finds(source, what):
    assert [found for _, found in offences(source)] == [what]


def test_the_lint_lets_pass():
    source = """
@njit(fastmath=False)
def k(x):
    maximum = x[0]
    return maximum if maximum == maximum else np.iinfo(np.int8).max
"""
    assert list(offences(source)) == []
