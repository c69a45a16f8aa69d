#!/usr/bin/env bash
# Tier 3: every CUDA kernel compiled and linked to cubins, without a GPU or a driver.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require_editable_install
unset NUMBA_ENABLE_CUDASIM
exec "$PYTHON" -m pytest tests/cuda/test_compile*.py "${IN_PARALLEL[@]}" "$@"
