"""The table of cases: one row is one call, run on every backend and held against the oracle.

Rows are tiny because the simulator runs a Python thread for each CUDA thread; the
few with `large=True` run compiled only.
"""

import rows_geometry
import rows_operators
import rows_values
import rows_windows
from fills import dtype_of

FAMILIES = (
    rows_geometry.pictures,
    rows_geometry.dtypes,
    rows_geometry.dimensions,
    rows_geometry.any_axes,
    rows_geometry.geometry,
    rows_geometry.dilation,
    rows_geometry.memory,
    rows_geometry.empty,
    rows_windows.adaptive,
    rows_values.specials,
    rows_values.accuracy,
    rows_values.integers,
    rows_values.compiled_only,
    *rows_operators.FAMILIES,
)
CASES = tuple(case for family in FAMILIES for case in family())
assert len({case.id for case in CASES}) == len(CASES), "two rows have the same id"


def rows_for(backend):
    """The rows that a backend can express, and the number that it cannot."""
    simulated = backend.name == "simulator"
    wanted = [c for c in CASES if not (simulated and c.large) and not (backend.immutable and c.out)]
    able = [
        c
        for c in wanted
        if backend.supports(dtype_of(c.dtype), c.layout) and (not c.out or backend.supports("f4", c.out))
    ]
    able = [c for c in able if backend.supports(dtype_of(c.arguments.get("dtype") or "float32"))]
    return able, len(CASES) - len(able)
