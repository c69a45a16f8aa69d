"""How plain functions become one kernel: the names they use are bound to a reducer's functions, codecs and constants.

`Binding(names)(function)` copies a function with changed globals: each given name stands for the given value, and every
plain function that it can reach is copied the same way. In the simulator the copies stay plain Python; for the GPU they
become device functions that Numba inlines. Kernels whose names stand for the same things, as far as a function can see,
share its copy: Numba analyses it once for each list of argument types, not once more for each kernel.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from ..user import USER

KERNELS = __name__.rpartition(".")[0].rpartition(".")[0] + "."


class Binding:
    """One set of names. The functions of one module share one changed copy of its globals.

    `copies` has the functions made so far, of other sets of names too, by what they are made of.
    """

    def __init__(
        self, names: Mapping[str, Any], wrap: Callable[[Any], Any], copies: MutableMapping[Any, Any] | None = None
    ) -> None:
        self.names = names
        self.wrap = wrap
        self.modules: dict[str, dict[str, Any]] = {}
        self.copies = {} if copies is None else copies
        self.seen: dict[types.FunctionType, frozenset] = {}

    def __call__(self, function: types.FunctionType) -> types.FunctionType:
        """The kernel itself: a plain copy."""
        space = self.modules.setdefault(function.__module__, dict(function.__globals__))
        copy = types.FunctionType(
            function.__code__, space, function.__name__, function.__defaults__, function.__closure__
        )
        for name, value, _ in self._replaced(function):
            space[name] = self._helper(value) if type(value) is types.FunctionType else value
        return copy

    def _helper(self, function: types.FunctionType) -> Any:
        """A function that kernels call."""
        key = function, self._sees(function)
        if key not in self.copies:
            self.copies[key] = self.wrap(self(function))
        return self.copies[key]

    def _sees(self, function: types.FunctionType) -> frozenset:
        """The given names that a function can reach, and what they stand for. Types are named: 1 == True."""
        if function not in self.seen:
            found: set[Any] = set()
            for name, value, bound in self._replaced(function):
                if bound:
                    found.add((name, type(value), value))
                if type(value) is types.FunctionType:
                    found |= self._sees(value)
            self.seen[function] = frozenset(found)
        return self.seen[function]

    def _replaced(self, function: types.FunctionType) -> Iterator[tuple[str, Any, bool]]:
        """The global names of a function that its copy has other values for, these, and whether they are given ones."""
        for name in _names(function.__code__):
            bound = name in self.names and not function.__module__.startswith(USER)  # whose names are the user's own
            value = self.names[name] if bound else function.__globals__.get(name)
            if bound or self._is_ours(value, function):
                yield name, value, bound

    @staticmethod
    def _is_ours(value: Any, caller: types.FunctionType) -> bool:
        """Whether a global is a plain function of gpupool's kernels, or of the caller's module (a user's reducer)."""
        if type(value) is not types.FunctionType:
            return False
        return value.__module__.startswith(KERNELS) or value.__module__ == caller.__module__


@functools.cache
def _names(code: types.CodeType) -> frozenset[str]:
    """Every global name that a function uses, those of its inner functions included (co_names has attributes, too)."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return frozenset(i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL").union(*inner)
