"""Benchmarks of gpupool against its peers; `python -m benchmarks.run --help`."""
