"""`python -m gpupool`: the same command as `gpupool`."""

import sys

from gpupool.cli import main

if __name__ == "__main__":
    sys.exit(main())
