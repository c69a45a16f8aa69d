#!/usr/bin/env bash
# Style and types: ruff check, ruff format --check, mypy.
# kernels/ is shipped as gpupool.kernels by setuptools' package-dir, which no type checker follows. mypy therefore
# reads a throw-away tree of links in which everything stands where the wheel puts it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

failed=0
"$PYTHON" -m ruff check --output-format concise . || failed=1
"$PYTHON" -m ruff format --check --output-format concise . || failed=1

tree="$(make_temporary_folder)"
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/gpupool"
for entry in gpupool/*; do
    ln -s "$ROOT/$entry" "$tree/$entry"
done
ln -s "$ROOT/kernels" "$tree/gpupool/kernels"
ln -s "$ROOT/benchmarks" "$tree/benchmarks"
(
    cd "$tree"
    "$PYTHON" -m mypy --config-file "$ROOT/pyproject.toml" --no-incremental -p gpupool -p benchmarks
) | sed -e 's|^gpupool/kernels/|kernels/|' || failed=1
exit "$failed"
