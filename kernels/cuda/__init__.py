"""The CUDA engines: kernels on flat memory, one source for GPUs and for Numba's simulator."""
