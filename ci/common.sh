# Sourced by every script here: strict mode, the repository root as working directory, and the interpreter to use.
# PYTHON=/path/to/python chooses another interpreter than `python`, or `python3` where there is no such command.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
PYTHON="${PYTHON:-$(command -v python || command -v python3)}"
export PYTHONUNBUFFERED=1
# Tests are bound by compilation, in one process each: as many processes as cores, up to four.
IN_PARALLEL=(-n "${TEST_PROCESSES:-auto}" --maxprocesses 4)

# The installed package must be the one in this tree: a wheel of an older state would be tested without a word.
require_editable_install() {
    "$PYTHON" - "$ROOT" <<'PY'
import pathlib, sys
root = pathlib.Path(sys.argv[1]).resolve()
try:
    import gpupool, gpupool.kernels
except ImportError as error:
    sys.exit(f"gpupool cannot be imported ({error}): run  python -m pip install -e '.[test]'  in {root}")
found = pathlib.Path(gpupool.__file__).resolve()
if root not in found.parents:
    sys.exit(f"gpupool is imported from {found}, not from {root}: run  python -m pip install -e '.[test]'  there")
PY
}

# A folder that can be removed with everything in it, on Linux, macOS and Git for Windows.
make_temporary_folder() {
    mktemp -d "${TMPDIR:-/tmp}/gpupool.XXXXXX"
}
