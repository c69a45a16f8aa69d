"""What a result is worth without: device, versions, date, commit, command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [
    "gpupool",
    "numba",
    "llvmlite",
    "numpy",
    "numba-cuda",
    "cuda-core",
    "torch",
    "onnxruntime",
    "opencv-python-headless",
    "scikit-image",
    "jax",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
]


def _output(*command: str) -> str:
    """Standard output of a command run in the repository, empty if it cannot be had."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def versions() -> dict[str, str]:
    """Versions of Python and of every package that takes part and is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Commit of the working tree, "+changes" if it differs from that, "unknown" outside of a repository."""
    head = _output("git", "rev-parse", "HEAD")
    if not head:
        return "unknown"
    return head + ("+changes" if _output("git", "status", "--porcelain", "--untracked-files=no") else "")


def cpu_model() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """The vector extensions that decide how fast a CPU kernel can be."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return sorted(flag for flag in flags if flag in ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw"))


def driver() -> str:
    """NVIDIA driver version, empty without one."""
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split("\n")[0]


def load_average() -> float | None:
    """Runnable processes over the last minute; above 0.5 somebody else was computing."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


class OthersShare:
    """The share of this machine's CPU time that other processes used since construction."""

    def __init__(self) -> None:
        self._start = self._read()

    @staticmethod
    def _read() -> tuple[float, float, float] | None:
        """Busy seconds of all CPUs, busy seconds of this process, wall time; None where the system does not tell."""
        try:
            user, nice, system, _, _, irq, softirq, steal = map(
                int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
            )
        except (OSError, ValueError):
            return None
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return busy, time.process_time(), time.monotonic()

    def __call__(self) -> float | None:
        """Between 0 (a quiet machine) and 1."""
        now, start = self._read(), self._start
        if now is None or start is None:
            return None
        busy, own, wall = (b - a for a, b in zip(start, now, strict=True))
        return round(max(0.0, busy - own) / max(1e-9, wall * (os.cpu_count() or 1)), 3)


def description(command: str) -> dict[str, Any]:
    """The part of a results file that does not depend on the cases."""
    return {
        "cpu": cpu_model(),
        "cpu_flags": cpu_flags(),
        "platform": platform.platform(),
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": command,
        "load_before": load_average(),
    }
