#!/usr/bin/env bash
# Tier 1: the compiled CPU engine, the plan, the dispatcher and the command line, against the oracle.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require_editable_install
unset NUMBA_ENABLE_CUDASIM
exec "$PYTHON" -m pytest tests --ignore=tests/cuda "${IN_PARALLEL[@]}" "$@"
