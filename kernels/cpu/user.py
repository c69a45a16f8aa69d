"""A user's reducer on the CPU: its functions made known to the compiler, and the one that does not compile found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numba import njit, types
from numba.core.registry import cpu_target
from numba.extending import register_jitable

_known: set[Any] = set()


def register(red: Any) -> None:
    """Let kernels call the functions of a user's reducer; gpupool's own rows have none of their own."""
    row = red if isinstance(red, type) else type(red)
    for function in getattr(row, "functions", ()):
        if function not in _known:
            register_jitable(function)
            _known.add(function)


def problem(row: Any, functions: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first function that does not compile, and why; None where all do and fit together."""
    register(row)
    role = "seed"
    try:
        acc = _result(functions["seed"].function, types.float64)
        role = "combine"
        joined = _result(functions["combine"].function, acc, acc)
        if cpu_target.typing_context.unify_types(acc, joined) is None:
            return role, f"it returns {joined} where seed returns {acc}"
        role = "finish"
        result = _result(functions["finish"].function, acc, types.int64)
    except Exception as error:  # NumbaError, and others for what the compiler's first steps do not know
        return role, _reason(error)
    if not isinstance(result, (types.Number, types.Boolean)):
        return role, f"it returns {result}, not a number"
    return None


def _result(function: Any, *arguments: Any) -> Any:
    """The type that a function returns for arguments of these types."""
    compiled = njit(function)
    compiled.compile(arguments)
    return compiled.overloads[arguments].signature.return_type


def _reason(error: Exception) -> str:
    """The line of Numba's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("Failed in", "-", "During:", "File ", "<"))]
    return (wanted or [type(error).__name__])[0]
