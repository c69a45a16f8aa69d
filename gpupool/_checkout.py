"""In a checkout `gpupool.kernels` is the folder kernels/ beside this package, installed or not.

Without this, Python started in a clone after `pip install .` finds this folder first, and no kernels.
"""

import sys
from pathlib import Path

_package = Path(__file__).resolve().parent
if not (_package / "kernels").exists() and (_package.parent / "kernels" / "window.py").exists():
    sys.modules[__package__].__path__.append(str(_package.parent))
