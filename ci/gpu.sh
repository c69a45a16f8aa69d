#!/usr/bin/env bash
# Tier 4, on a machine with a GPU: installs this tree (offline), compiles on all cores what the rest will run, runs the
# whole test table on device arrays, the memory and race checkers, and the benchmarks. A failing part does not stop the
# others; the exit code says whether one failed. Every part has a time budget; all together stay under 10 minutes.
# Results go to ${OUT:-benchmarks/results}; QUICK=1 leaves the checkers and the profile out.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
unset NUMBA_ENABLE_CUDASIM
export XLA_PYTHON_CLIENT_PREALLOCATE=false TORCHINDUCTOR_COMPILE_THREADS=1
# Numba's compiler library (libnvvm) comes with a wheel or with the CUDA toolkit, which is looked for by this variable.
if [[ -z "${CUDA_PATH:-}${CUDA_HOME:-}" ]]; then
    toolkit="$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")")")"
    if [[ -d "$toolkit/nvvm" ]]; then
        export CUDA_HOME="$toolkit"
    fi
fi

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

# All libraries at the same time: most of the time is compiling what compile_ahead does not know of, for all of them once.
# The properties are left to the cpu and simulator tiers: nearly every example that Hypothesis draws has another window,
# which is another kernel to compile. A kernel that reads where it must not ends every later test of its process, too:
# look at the first failure of each.
tests_on() { # library, processes
    "$PYTHON" -m pytest tests --library "$1" -n "$2" -p no:cacheprovider --ignore=tests/test_properties.py >"$logs/$1" 2>&1
}

report_on() { # library, exit code; 1 if a test failed
    printf '\n-- tests on %s arrays\n' "$1"
    tail -40 "$logs/$1"
    if (($2)) && grep -q 'no library sees a GPU' "$logs/$1"; then
        printf 'no test ran: %s is not installed or sees no GPU\n' "$1"
        return 0
    fi
    (($2 == 0))
}

library_tests() {
    local library code state=0 pids=() few=$(($(nproc) / 8 + 1))
    for library in cupy numba torch jax; do
        tests_on "$library" "$([[ "$library" == cupy ]] && echo $((4 * few)) || echo "$few")" &
        pids+=($!)
    done
    for library in cupy numba torch jax; do
        code=0
        wait "${pids[0]}" || code=$?
        pids=("${pids[@]:1}")
        report_on "$library" "$code" || state=1
    done
    return "$state"
}

checkers() {
    local tool options
    for tool in memcheck racecheck; do
        # cuda-bindings asks the driver for functions that it may not have: that is no error.
        options=(--tool "$tool" --error-exitcode 9)
        [[ "$tool" == memcheck ]] && options+=(--report-api-errors no)
        if [[ "${QUICK:-0}" == 1 ]]; then
            not_run "$tool" "QUICK=1"
        elif command -v compute-sanitizer >/dev/null; then
            part "$tool" 20 compute-sanitizer "${options[@]}" "$PYTHON" -m benchmarks.short_run
        else
            not_run "$tool" "compute-sanitizer is not installed"
        fi
    done
}

plot() {
    if [[ ! -f "$stem.json" ]]; then
        not_run plot "the benchmark wrote no results"
    elif "$PYTHON" -c 'import matplotlib' 2>/dev/null; then
        part plot 10 "$PYTHON" -m benchmarks.plot "$stem.json" -o "$stem.png"
    else
        not_run plot "matplotlib is not installed"
    fi
}

profiler() { # results file. Counters are often reserved to administrators: that is said, and is no failure of ours
    local code=0
    ncu --clock-control none --kernel-name regex:gpupool --launch-count 3 --section SpeedOfLight \
        --section MemoryWorkloadAnalysis --section LaunchStats --section Occupancy \
        "$PYTHON" -m benchmarks.short_run --slowest "$1" 2>&1 | tee "$logs/ncu" || code=$?
    if grep -q ERR_NVGPUCTRPERM "$logs/ncu"; then
        echo "no profile: this user may not read the GPU's performance counters"
        return 0
    fi
    return "$code"
}

profile() { # the row that is furthest from copy speed
    if [[ "${QUICK:-0}" == 1 ]]; then
        not_run profile "QUICK=1"
    elif [[ ! -f "$stem.json" ]]; then
        not_run profile "the benchmark wrote no results"
    elif command -v ncu >/dev/null; then
        part profile 20 bash "$0" profiler "$stem.json"
    else
        not_run profile "ncu is not installed"
    fi
}

main() {
    timeout 20 nvidia-smi
    part install 20 "$PYTHON" -m pip install --quiet -e . --no-deps --no-build-isolation
    part compile 125 "$PYTHON" -m benchmarks.compile_ahead --torch
    part tests 150 bash "$0" library_tests
    checkers
    part bench 155 "$PYTHON" -m benchmarks.run --device cuda --seconds 140 --json "$stem.json"
    plot
    part gradients 40 "$PYTHON" -m benchmarks.gpu_backward --json "$stem-gradients.json"
    profile
    printf '\n%-10s %-8s %s\n' part state time
    printf '%s\n' "${summary[@]}"
    printf 'results in %s\n' "$out"
    return "$failed"
}

logs="$(make_temporary_folder)"
trap 'rm -rf "$logs"' EXIT
if [[ "${1:-}" == library_tests || "${1:-}" == profiler ]]; then # parts that `timeout` starts as commands
    "$@"
    exit
fi
main 2>&1 | tee "$stem.log"
