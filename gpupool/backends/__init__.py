"""Where arrays of one kind meet the kernels: memory in, memory out."""
