"""One row of the table of cases: one call of one public function, and the values that go into it."""

import zlib
from dataclasses import dataclass

import layouts
import numpy as np
from fills import fill


@dataclass(frozen=True)
class Case:
    """One call of one public function."""

    id: str
    function: str
    shape: tuple
    kwargs: tuple = ()
    dtype: str = "float32"
    layout: str = "C"
    data: str = "random"
    out: str = ""  # layout of the out= array, if one is given
    large: bool = False

    @property
    def arguments(self):
        return dict(self.kwargs)

    def input(self):
        """The values, in C order on the host."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()))
        return layouts.constant_where_broadcast(fill(self.data, rng, self.shape, self.dtype), self.layout)


def row(identity, function, shape, dtype="float32", /, layout="C", data="random", out="", large=False, **kwargs):
    """A Case from plain arguments."""
    return Case(identity, function, shape, tuple(kwargs.items()), dtype, layout, data, out, large)
