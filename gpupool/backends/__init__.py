"""Where arrays of one kind meet the kernels: memory in, memory out.

One array in, results out:

- on the CPU: `cpu` (arrays, calls, threads), `cpu_engines` (which engine runs); programs of passes: `cpu_program` (how
  they are written) with `cpu_loops`, `cpu_windows` (windows that slide) with `cpu_ways`, `cpu_pieces` and
  `cpu_reduction`, `cpu_uneven` (those that share an axis), `cpu_whole` (whole planes); `cpu_find` (the engine that
  finds positions).
- on the GPU: `cuda` (arrays, calls, streams), `cuda_arrays` and `cuda_dlpack` (the libraries' arrays), `cuda_launch`
  (the driver, or the simulator), `cuda_choose` (which kernel runs). Of each kernel, what its threads do: `cuda_tiles`,
  `cuda_last`, `cuda_pixels` and `cuda_shared` (small windows), `cuda_large` and `cuda_large_time` (large ones),
  `cuda_groups` and `cuda_planes` (whole planes).

Several operands in (jobs: gradients, unpooling, fractional pooling):

- on the CPU: `cpu_many` (arrays, calls), `cpu_frame` (arrays as kernels see them), `cpu_gradients` (which engine runs,
  and those of sums and of what was chosen). The others: `cpu_tiles` (windows that do not overlap), `cpu_mirror` (sums
  at stride 1), `cpu_known` (NaN omitted), `cpu_powers` (Lp norms), `cpu_offsets` and `cpu_taps` (from offsets),
  `cpu_fractional`, `cpu_unpool`; `cpu_bands` (few planes on several threads).
- on the GPU: `cuda_many` (arrays, calls), `cuda_jobs` (layout and launches), `cuda_gradients` (which kernels run).
  Of each kind of windows, what threads do: `cuda_strips` (overlapping), `cuda_apart` (not overlapping), `cuda_whole`
  (whole planes); of each kind of job, its kernels: `cuda_known`, `cuda_offsets`, `cuda_fractional`.
"""
