#!/usr/bin/env bash
# The README's one test command: tiers cpu, simulator and ptx, and gpu where a GPU is present.
# A failing tier does not stop the others. The summary says which ran and which did not, and why.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

logs="$(make_temporary_folder)"
trap 'rm -rf "$logs"' EXIT
summary=()
failed=0

note() { # tier, state, seconds, detail
    summary+=("$(printf '%-10s %-8s %6s  %s' "$1" "$2" "$3" "$4")")
}

run_tier() { # tier, script
    local tier="$1" start=$SECONDS state=ran
    printf '\n== tier %s: %s\n' "$tier" "$2"
    bash "$2" 2>&1 | tee "$logs/$tier" || { state=FAILED; failed=1; }
    local counts
    counts="$(grep -E '(passed|failed|error|no tests ran).* in [0-9.]+s' "$logs/$tier" | tail -1 | sed 's/^=* *//; s/ *=*$//' || true)"
    note "$tier" "$state" "$((SECONDS - start))s" "${counts:-no pytest summary}"
}

# An absent NVIDIA package is a failure where it could have been installed, and a stated omission on macOS.
cuda_tiers=1
reason="$("$PYTHON" -c 'import numba_cuda, cuda.core' 2>&1)" || { cuda_tiers=0; reason="$(tail -1 <<<"$reason")"; }

run_tier cpu ci/cpu.sh
for tier in simulator ptx; do
    if ((cuda_tiers)); then
        run_tier "$tier" "ci/$tier.sh"
    elif [[ "$(uname -s)" == Darwin ]]; then
        note "$tier" "not run" - "NVIDIA publishes no packages for macOS"
    else
        note "$tier" FAILED - "$reason: run  python -m pip install -e '.[test]'"
        failed=1
    fi
done
if gpus="$(nvidia-smi -L 2>/dev/null)" && [[ "$gpus" == GPU* ]]; then
    run_tier gpu ci/gpu.sh
else
    note gpu "not run" - "no NVIDIA GPU here (nvidia-smi -L lists none)"
fi

printf '\n%-10s %-8s %6s  %s\n' tier state time tests
printf '%s\n' "${summary[@]}"
exit "$failed"
