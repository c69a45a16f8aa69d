"""numba-cuda's own declarations, loaded on NumPy 2.5 as on any other.

They name `np.row_stack`, which NumPy 2.5 dropped, and numba-cuda is maintained but not adapted any more (its issue 907
is closed without a change): without this no kernel compiles there.
"""

from __future__ import annotations

import numpy as np

missing = not hasattr(np, "row_stack")
if missing:
    np.row_stack = np.vstack
try:
    import numba.cuda.np.arrayobj  # noqa: F401
finally:
    if missing:
        del np.row_stack
