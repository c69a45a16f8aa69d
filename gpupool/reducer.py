"""A reducer of the user's own: three plain Python functions become a row like gpupool's, for every backend."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from gpupool.kernels.user import Adopted, NotAdoptable, row_class

from .operators import FLOATING, Operator
from .request import Request, fail

MOST_PARTS = 8
SAMPLES = (1.0, 2.0, 0.5)


class Reducer:
    """An operator for `pool` from three plain Python functions, compiled for CPU and GPU.

    Parameters
    ----------
    name : str
        What errors, profilers and `repr` call it: letters, digits and underscores.
    seed : function (v) -> accumulator
        Makes an accumulator of one element, which arrives as a float64. An accumulator is a number, or a tuple of two
        to eight numbers, always of the same types.
    combine : function (a, b) -> accumulator
        Joins two accumulators; associative up to rounding, and commutative unless `ordered`.
    finish : function (acc, count) -> number
        Makes the result. `count` is the number of elements in the window, padding not counted, or the
        `divisor_override` of the call.
    neutral : accumulator, optional
        One that changes no other, such as 0.0 for a sum or -inf for a maximum. With it the CPU's fast engines (numbers
        only) and the GPU's tiles (up to two numbers) can run; without it each window is reduced by itself.
    ordered : bool
        Whether the elements' order matters: then `a` is always of earlier elements than `b`, in row-major order.

    Raises
    ------
    TypeError, ValueError
        Where a function fails on a number, gives something else than numbers, or uses what it cannot have; where
        `neutral` is not neutral; and, from `pool`, where a function does not compile. The message names the reducer and
        the function.

    Notes
    -----
    The functions may use `math`, arithmetic, comparisons, conditional expressions, other plain functions of their
    module and numbers, including those of an enclosing function: these are taken as they are when the Reducer is made.
    The result is floating point by the rule of `avg_pool2d`, or of the `dtype` that the call asks for.

    Examples
    --------
    The log of the sum of exponentials, without overflow:

    >>> import math, numpy as np, gpupool as gp
    >>> def join(a, b):
    ...     high = a[0] if a[0] > b[0] else b[0]
    ...     return (high, a[1] * math.exp(a[0] - high) + b[1] * math.exp(b[0] - high))
    >>> lse = gp.Reducer("log_sum_exp", lambda v: (v, 1.0), join, lambda acc, count: acc[0] + math.log(acc[1]))
    >>> gp.pool(np.array([[1000.0, 1000.0, 0.0, -5.0]]), lse, (1, 2)).round(4)
    array([[1.0006931e+03, 6.7000000e-03]])
    """

    def __init__(
        self,
        name: str,
        seed: Callable[[Any], Any],
        combine: Callable[[Any, Any], Any],
        finish: Callable[[Any, Any], Any],
        *,
        neutral: Any = None,
        ordered: bool = False,
    ) -> None:
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            raise ValueError(f"Reducer: name must be letters, digits and underscores, got {name!r}")
        if not isinstance(ordered, bool):
            raise TypeError(f"Reducer {name!r}: ordered must be True or False, got {ordered!r}")
        self.name = name
        given = {"seed": (seed, 1), "combine": (combine, 2), "finish": (finish, 2)}
        self._functions = {role: self._adopted(role, *pair) for role, pair in given.items()}
        self._types = self._tried()
        if neutral is not None:
            self._check_neutral(neutral)
        self.row = row_class(name, self._functions, self._types, neutral, ordered)
        self.operator = Operator(
            name, "a user's own", (), self._chosen, FLOATING, divides=True, dtype=True
        )  # fmt: skip
        self._verified = False

    def _chosen(self, wanted: Any) -> Any:  # noqa: ARG002 (one row for every dtype and window)
        return self.row()

    def __repr__(self) -> str:
        return f"Reducer({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reducer) and self.row is other.row

    def __hash__(self) -> int:
        return hash(self.row)

    def _adopted(self, role: str, function: Any, arguments: int) -> Adopted:
        try:
            return Adopted(function, arguments)
        except NotAdoptable as error:
            raise TypeError(f"Reducer {self.name!r}: {role} {error}") from None

    def _called(self, role: str, *arguments: Any) -> Any:
        """A function's result on plain numbers; its exceptions as errors of the user's."""
        try:
            with np.errstate(all="ignore"):
                return self._functions[role].function(*arguments)
        except Exception as error:  # whatever the user's code may raise
            kind = ValueError if isinstance(error, ValueError) else TypeError
            shown = ", ".join(map(repr, arguments))
            raise kind(f"Reducer {self.name!r}: {role}({shown}) failed: {type(error).__name__}: {error}") from error

    def _tried(self) -> tuple[Any, ...]:
        """The types of an accumulator's parts, found by running the functions on numbers."""
        accumulators = [self._called("seed", np.float64(v)) for v in SAMPLES]
        kinds = [_types(acc) for acc in accumulators]
        if None in kinds or len(set(kinds)) > 1:
            self._wrong("seed", accumulators[0])
        joined = self._called("combine", accumulators[0], accumulators[1])
        if _types(joined) is None or len(_types(joined) or ()) != len(kinds[0] or ()):
            self._wrong("combine", joined)
        if isinstance(joined, tuple) != isinstance(accumulators[0], tuple):
            self._wrong("combine", joined)
        result = self._called("finish", joined, 2)
        if isinstance(result, tuple) or _types(result) is None:
            raise TypeError(f"Reducer {self.name!r}: finish must return a number, got {result!r}")
        return tuple(np.promote_types(a, b) for a, b in zip(kinds[0] or (), _types(joined) or (), strict=True))

    def _wrong(self, role: str, acc: Any) -> NoReturn:
        raise TypeError(
            f"Reducer {self.name!r}: {role} must return a number or a tuple of 2 to {MOST_PARTS} numbers, always of "
            f"the same types, got {acc!r}"
        )

    def _check_neutral(self, neutral: Any) -> None:
        if _types(neutral) is None or len(_types(neutral) or ()) != len(self._types):
            raise TypeError(f"Reducer {self.name!r}: neutral must be an accumulator like seed's, got {neutral!r}")
        for v in SAMPLES:
            acc = self._called("seed", np.float64(v))
            for pair in ((neutral, acc), (acc, neutral)):
                if self._called("combine", *pair) != acc:
                    raise ValueError(
                        f"Reducer {self.name!r}: neutral must change no accumulator, but combine{pair} is not {acc!r}"
                    )

    def verify(self) -> None:
        """Compile each function by itself; a TypeError names the one that does not. Once for each reducer."""
        if self._verified:
            return
        from gpupool.kernels.cpu.user import problem

        found = problem(self.row, self._functions)
        if found:
            role, text = found
            raise TypeError(f"reducer {self.name!r}: {role} does not compile: {text}")
        self._verified = True


def _types(acc: Any) -> tuple[np.dtype, ...] | None:
    """The dtypes of an accumulator's parts; None where it is no number and no tuple of numbers."""
    parts = acc if isinstance(acc, tuple) else (acc,)
    if len(parts) > MOST_PARTS or (isinstance(acc, tuple) and len(parts) < 2):
        return None
    if not all(isinstance(p, (numbers.Real, np.bool_)) for p in parts):
        return None
    return tuple(np.asarray(p).dtype for p in parts)


@contextmanager
def compiling(request: Request) -> Iterator[None]:
    """Report what a user's reducer does to the compiler as an error of the user's."""
    try:
        yield
    except Exception as error:
        if not isinstance(request.op, Reducer) or isinstance(error, MemoryError):
            raise
        try:
            request.op.verify()
        except TypeError as reason:
            fail(request, reason)
        text = " ".join(str(error).split())[:300]
        fail(request, TypeError(f"reducer {request.op.name!r} does not compile: {type(error).__name__}: {text}"))
