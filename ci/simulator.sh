#!/usr/bin/env bash
# Tier 2: every CUDA kernel under Numba's simulator. The variable is read when numba is imported: a process of its own.
# Compiled code is the ptx tier's business.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require_editable_install
NUMBA_ENABLE_CUDASIM=1 exec "$PYTHON" -m pytest tests --ignore-glob='*/cuda/test_compile*' "${IN_PARALLEL[@]}" "$@"
