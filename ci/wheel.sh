#!/usr/bin/env bash
# The package as a user gets it: sdist and wheel built, the wheel installed into a fresh environment, used from
# another folder, so that nothing of the repository can be imported by accident.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

work="$(make_temporary_folder)"
trap 'rm -rf "$work"' EXIT

"$PYTHON" -m venv "$work/build-env"
"$work/build-env/bin/python" -m pip install --quiet build
# Without an argument `build` makes the wheel from the sdist: a file that the sdist lacks is noticed.
"$work/build-env/bin/python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || {
    cat "$work/build.log"
    exit 1
}
wheel=("$work"/dist/*.whl)
"$work/build-env/bin/python" - "${wheel[0]}" <<'PY'
import sys, zipfile
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
wanted = ["gpupool/__init__.py", "gpupool/py.typed", "gpupool/kernels/__init__.py", "gpupool/kernels/window.py",
          "gpupool/kernels/reducers.py", "gpupool/kernels/cpu/__init__.py", "gpupool/kernels/cuda/__init__.py"]
missing = [name for name in wanted if name not in names]
stray = sorted(n for n in names if not n.startswith(("gpupool/", "gpupool-")))
if missing or stray:
    sys.exit(f"wheel: missing {missing}, stray {stray}")
print(f"wheel: {len(names)} files, kernels and py.typed inside")
PY

"$PYTHON" -m venv "$work/user-env"
"$work/user-env/bin/python" -m pip install --quiet "${wheel[0]}"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
"$work/user-env/bin/python" -W error - "$work/user-env" <<'PY'
import importlib.metadata, pathlib, sys
import numpy as np
import gpupool as gp
import gpupool.kernels

home = pathlib.Path(sys.argv[1]).resolve()
for module in (gp, gpupool.kernels):
    assert home in pathlib.Path(module.__file__).resolve().parents, module.__file__
assert "cupy" not in sys.modules and "numba.cuda" not in sys.modules
x = np.arange(48, dtype=np.float32).reshape(3, 4, 4)
np.testing.assert_array_equal(gp.max_pool2d(x, 2)[0], [[5, 7], [13, 15]])
np.testing.assert_array_equal(gp.avg_pool2d(x, 2)[0], [[2.5, 4.5], [10.5, 12.5]])
np.testing.assert_array_equal(gp.global_avg_pool2d(x).ravel(), [7.5, 23.5, 39.5])
print(f"wheel: gpupool {importlib.metadata.version('gpupool')} pools outside the repository, base dependencies only")
PY
"$work/user-env/bin/gpupool" info

# The main job, with what the README's first command installs.
"$work/user-env/bin/python" -m pip install --quiet "${wheel[0]}[image]"
"$work/user-env/bin/gpupool" demo
test -s gpupool-demo.png
