"""A user's functions as a reducer row: copied with the values that they use, each in a module named by a digest.

The modules exist in this process only. Compiled kernels on disk refer to them by name: the next process finds them when
it has made the same reducer.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np

from .cache import described

USER = __name__ + "."  # the modules that adopted functions are said to come from
OWN = "adopted"  # the name of the function in its module
CONSTANTS = (bool, int, float, np.number, np.bool_, str, type(None))


class NotAdoptable(TypeError):
    """A function that cannot be compiled by itself; the message goes on from its name."""


class Adopted:
    """A plain function with its own copy of the globals that it uses, and a digest of code and values."""

    def __init__(self, function: Any, arguments: int, seen: tuple[Any, ...] = ()) -> None:
        if not isinstance(function, types.FunctionType):
            raise NotAdoptable(f"must be a plain Python function, got {function!r}")
        code = function.__code__
        special = code.co_kwonlyargcount or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        if arguments >= 0 and (code.co_argcount != arguments or special or function.__defaults__):
            raise NotAdoptable(f"must take {arguments} argument(s) without defaults, got {inspect.signature(function)}")
        self.helpers: list[Adopted] = []
        used = inspect.getclosurevars(function)
        space: dict[str, Any] = {}
        values = [described(code), function.__defaults__]
        for name, value in sorted({**used.globals, **used.nonlocals}.items()):
            if isinstance(value, types.FunctionType) and name in used.globals:
                if function in (*seen, value):
                    raise NotAdoptable(f"uses {name!r}, which calls itself")
                helper = Adopted(value, -1, (*seen, function))
                self.helpers.append(helper)
                space[name] = helper.function
                values.append((name, helper.digest))
            else:
                space[name] = value
                values.append((name, _constant(name, value)))
        self.digest = hashlib.sha256(repr(values).encode()).hexdigest()
        module = _module(self.digest, space)
        if not hasattr(module, OWN):
            made = types.FunctionType(
                code, module.__dict__, function.__name__, function.__defaults__, function.__closure__
            )
            setattr(module, OWN, made)
        self.function = getattr(module, OWN)

    def all_functions(self) -> list[types.FunctionType]:
        """The function and those that it calls."""
        return [self.function, *(f for helper in self.helpers for f in helper.all_functions())]


def _module(digest: str, space: Mapping[str, Any]) -> types.ModuleType:
    """The module of this digest, with these globals when it is new."""
    name = USER + digest
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(space)
    return sys.modules[name]


def _constant(name: str, value: Any) -> str:
    """How a value enters the digest; an error for what no kernel can have."""
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, CONSTANTS) or (isinstance(value, tuple) and all(isinstance(v, CONSTANTS) for v in value)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (type, types.BuiltinFunctionType, np.ufunc)):
        return f"{type(value).__name__} {getattr(value, '__module__', '')}.{value.__name__}"
    where = "of an enclosing function" if isinstance(value, types.FunctionType) else f"a {type(value).__name__}"
    raise NotAdoptable(f"uses {name!r}, {where}: allowed are numbers, modules and functions of the module")


# The row's functions: user_seed, user_combine and user_finish are names of a global space of their own.


def _seed(red, v, at):
    return user_seed(np.float64(v))  # type: ignore[name-defined]  # noqa: F821


def _combine(red, a, b):
    return user_combine(a, b)  # type: ignore[name-defined]  # noqa: F821


def _finish(red, acc, count):
    return user_finish(acc, np.int64(count))  # type: ignore[name-defined]  # noqa: F821


_rows: dict[tuple, Any] = {}


def row_class(
    name: str, functions: Mapping[str, Adopted], parts: tuple[np.dtype, ...], neutral: Any, ordered: bool
) -> Any:
    """The NamedTuple class of a reducer; one class for all reducers that are the same."""
    values = (name, *(f.digest for f in functions.values()), parts, repr(neutral), ordered)
    if values in _rows:
        return _rows[values]
    digest = hashlib.sha256(repr(values).encode()).hexdigest()
    space = {"np": np} | {f"user_{role}": adopted.function for role, adopted in functions.items()}
    module = _module(digest, space)
    row: Any = namedtuple(f"User_{name}", ())  # type: ignore[misc]
    row.__module__ = module.__name__
    setattr(module, row.__qualname__, row)
    row.DIGEST = digest
    row.functions = [f for adopted in functions.values() for f in adopted.all_functions()]
    row.parts = tuple(p.type for p in parts)
    for role, wrapper in (("seed", _seed), ("combine", _combine), ("finish", _finish)):
        setattr(row, role, staticmethod(types.FunctionType(wrapper.__code__, module.__dict__, role)))
    scalar = parts[0] if len(parts) == 1 and neutral is not None and not isinstance(neutral, tuple) else None
    row.accumulator = staticmethod(lambda loaded: scalar)
    row.unordered = staticmethod(lambda loaded: None if ordered else row())
    if neutral is not None:
        row.neutral = staticmethod(lambda loaded: _typed(neutral, row.parts))
    _rows[values] = row
    return row


def _typed(neutral: Any, parts: tuple[Any, ...]) -> Any:
    """The neutral accumulator in the accumulator's own types."""
    if isinstance(neutral, tuple):
        return tuple(t(n) for t, n in zip(parts, neutral, strict=True))
    return parts[0](neutral)
