"""Device functions that compile without a GPU.

Numba's own ask the current GPU what to compile for. Its other way, inlining in Numba's intermediate form, needs no GPU,
but copies and analyses every function once more for each call: 14 s a kernel instead of 2. So these are device
functions that know their target, and LLVM inlines them.
"""

from __future__ import annotations

from numba.cuda.compiler import compile_cuda
from numba.cuda.dispatcher import CUDADispatcher

OLDEST = (7, 5)  # PTX for the oldest GPU: the linker makes each newer one's own machine code from it


class DeviceFunction(CUDADispatcher):
    """A device function for `OLDEST`, always inlined."""

    def compile_device(self, args, return_type=None):
        """The function compiled for these argument types."""
        if args not in self.overloads:
            options = {"debug": False, "lineinfo": False, "fastmath": False, "nvvm_options": {"opt": 3}, "cc": OLDEST}
            compiled = compile_cuda(self.py_func, return_type, args, inline="never", forceinline=True, **options)
            compiled = compiled._replace(type_annotation=None)  # half of the memory that is held from now on
            self.overloads[args] = compiled
            compiled.target_context.insert_user_function(compiled.entry_point, compiled.fndesc, [compiled.library])
        return self.overloads[args]


def device_function(function):
    """A plain function as one that kernels can call."""
    return DeviceFunction(function, targetoptions={"device": True, "opt": True, "inline": "never"})
