#!/usr/bin/env bash
# Tier 4, on a machine with a GPU: installs this tree (offline), runs the whole test table on device arrays, the memory
# and race checkers, and the benchmarks. A failing part does not stop the others; the exit code says whether one failed.
# Every part has a time budget; all of them together stay under 9 minutes.
# Results go to ${OUT:-benchmarks/results}; QUICK=1 leaves the checkers and the profile out.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
unset NUMBA_ENABLE_CUDASIM

out="${OUT:-benchmarks/results}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
gpu="$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1)" || gpu=""
if [[ -z "$gpu" ]]; then
    echo "ci/gpu.sh: no NVIDIA GPU here (nvidia-smi lists none)" >&2
    exit 2
fi
slug="$(printf '%s' "$gpu" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9' '-' | sed 's/^-*//; s/-*$//')"
stem="$out/$slug-$(date -u +%Y-%m-%d)"
summary=()
failed=0

part() { # name, seconds, command...
    local name="$1" budget="$2" start=$SECONDS state=passed
    shift 2
    printf '\n== gpu part %s (at most %s s): %s\n' "$name" "$budget" "$*"
    timeout --kill-after=5 "$budget" "$@" || { state="FAILED"; failed=1; }
    summary+=("$(printf '%-10s %-8s %ss' "$name" "$state" "$((SECONDS - start))")")
}

not_run() { # name, reason
    summary+=("$(printf '%-10s %-8s %s' "$1" "not run" "$2")")
}

checkers() {
    local tool
    for tool in memcheck racecheck; do
        if [[ "${QUICK:-0}" == 1 ]]; then
            not_run "$tool" "QUICK=1"
        elif command -v compute-sanitizer >/dev/null; then
            part "$tool" 45 compute-sanitizer --tool "$tool" --error-exitcode 9 "$PYTHON" -m benchmarks.short_run
        else
            not_run "$tool" "compute-sanitizer is not installed"
        fi
    done
}

plot() {
    if [[ ! -f "$stem.json" ]]; then
        not_run plot "the benchmark wrote no results"
    elif "$PYTHON" -c 'import matplotlib' 2>/dev/null; then
        part plot 15 "$PYTHON" -m benchmarks.plot "$stem.json" -o "$stem.png"
    else
        not_run plot "matplotlib is not installed"
    fi
}

profile() { # the row that is furthest from copy speed
    if [[ "${QUICK:-0}" == 1 ]]; then
        not_run profile "QUICK=1"
    elif [[ ! -f "$stem.json" ]]; then
        not_run profile "the benchmark wrote no results"
    elif command -v ncu >/dev/null; then
        part profile 35 ncu --clock-control none --section SpeedOfLight --section MemoryWorkloadAnalysis \
            --section LaunchStats --section Occupancy --launch-count 3 \
            "$PYTHON" -m benchmarks.short_run --slowest "$stem.json"
    else
        not_run profile "ncu is not installed"
    fi
}

main() {
    nvidia-smi
    part install 40 "$PYTHON" -m pip install --quiet -e . --no-deps --no-build-isolation
    part tests 200 "$PYTHON" -m pytest tests --gpu -p no:cacheprovider
    checkers
    part bench 120 "$PYTHON" -m benchmarks.run --device cuda --seconds 90 --json "$stem.json"
    plot
    profile
    printf '\n%-10s %-8s %s\n' part state time
    printf '%s\n' "${summary[@]}"
    printf 'results in %s\n' "$out"
    return "$failed"
}

main 2>&1 | tee "$stem.log"
