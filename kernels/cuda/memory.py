"""What kernels need and plain Python has no word for: index types, bit casts, vector loads and stores.

Each exists twice: as a compiler intrinsic (memory_compiled.py) and as its twin for the simulator
(memory_simulated.py).
"""

from __future__ import annotations

from numba import config

SIMULATED = bool(config.ENABLE_CUDASIM)

if SIMULATED:
    from .memory_simulated import (
        NAMES,
        atomic_max,
        half_decode,
        half_encode,
        index,
        load_vector,
        number,
        quotient,
        store_vector,
        unsigned,
    )
else:
    from . import declared  # noqa: F401 (before anything else of numba-cuda's)
    from .memory_compiled import (
        NAMES,
        atomic_max,
        half_decode,
        half_encode,
        index,
        load_vector,
        number,
        quotient,
        store_vector,
        unsigned,
    )

__all__ = [
    "NAMES",
    "SIMULATED",
    "atomic_max",
    "half_decode",
    "half_encode",
    "index",
    "load_vector",
    "number",
    "quotient",
    "store_vector",
    "unsigned",
]
