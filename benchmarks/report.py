"""Rows, the printed table and the JSON file."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from math import exp, log
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.timing import Contender


@dataclass
class Row:
    """One case's figures, in microseconds per call; `peers` holds those that ran, `missing` says why others did not."""

    case: str
    dtype: str
    layout: str
    bytes: int
    gpupool_us: float | None = None
    variant: str | None = None
    peers: dict[str, float] = field(default_factory=dict)
    copy_us: float | None = None
    gpupool_alloc_us: float | None = None
    buffers: int = 0
    samples: dict[str, int] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    ulp: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, case: Case) -> Row:
        """An empty row for a case."""
        return cls(case.id, case.dtype, case.layout, case.bytes)

    def take(self, contenders: list[Contender]) -> None:
        """Read the contenders' samples."""
        times = {c.name: round(c.seconds * 1e6, 3) for c in contenders if c.samples}
        self.samples = {c.name: len(c.samples) for c in contenders}
        self.forms = {c.name: c.note for c in contenders if c.note}
        self.gpupool_us = times.pop("gpupool", None)
        self.gpupool_alloc_us = times.pop("gpupool_alloc", None)
        found = [times.pop(name) for name in ("copy", "copy kernel") if name in times]
        self.copy_us = min(found, default=None)
        self.peers = times

    @property
    def to_peer(self) -> float | None:
        """How many times faster gpupool is than the fastest peer."""
        if self.gpupool_us is None or not self.peers:
            return None
        return min(self.peers.values()) / self.gpupool_us

    @property
    def to_copy(self) -> float | None:
        """gpupool's fraction of copy speed."""
        return self.copy_us / self.gpupool_us if self.copy_us and self.gpupool_us else None


@dataclass
class Table:
    """Prints rows as they come. The unit is ms on the CPU and us on the GPU."""

    peers: list[str]
    unit: str

    def header(self) -> str:
        """Column names."""
        cells = ["gpupool", *self.peers, "copy", "x peer", "x copy", "GB/s", "ulp", "torch's"]
        return f"{'case (' + self.unit + ')':<62}" + "".join(f"{cell:>13}" for cell in cells)

    def line(self, row: Row) -> str:
        """One row; a dash where there is no figure."""
        scale, digits = (1e-3, 3) if self.unit == "ms" else (1.0, 1)
        times = [row.gpupool_us, *(row.peers.get(name) for name in self.peers), row.copy_us]
        cells = [_cell(None if value is None else value * scale, digits) for value in times]
        speed = None if row.gpupool_us is None else row.bytes / row.gpupool_us * 1e-3
        cells += [_cell(row.to_peer, 2), _cell(row.to_copy, 2), _cell(speed, 1)]
        cells += [_cell(row.ulp.get(name), 2) for name in ("gpupool", "torch")]
        text = f"{row.case:<62}" + "".join(f"{cell:>13}" for cell in cells)
        return "\n".join([text, *(f"    ERROR {error}" for error in row.errors)])


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def geometric_mean(values: list[float]) -> float | None:
    """Geometric mean, None of nothing."""
    return exp(sum(map(log, values)) / len(values)) if values else None


def summary(rows: list[Row]) -> dict[str, Any]:
    """Geometric means over the rows and the rows that are slower than a peer."""
    to_peer = {row.case: row.to_peer for row in rows if row.to_peer is not None}
    to_copy = [row.to_copy for row in rows if row.to_copy is not None]
    return {
        "rows": len(rows),
        "geomean_to_fastest_peer": geometric_mean(list(to_peer.values())),
        "geomean_to_copy": geometric_mean(to_copy),
        "slower_than_a_peer": {case: round(ratio, 3) for case, ratio in to_peer.items() if ratio < 1},
        "errors": {row.case: row.errors for row in rows if row.errors},
    }


def closing_text(rows: list[Row], not_run: list[str]) -> str:
    """What the table ends with: means, rows lost, errors, and every peer that is missing, by name and reason."""
    totals = summary(rows)
    lines = [""]
    for key, words in (("geomean_to_fastest_peer", "times the fastest peer"), ("geomean_to_copy", "of copy speed")):
        if totals[key] is not None:
            lines.append(f"geometric mean: {totals[key]:.2f} {words}")
    lost = totals["slower_than_a_peer"]
    lines += [f"slower than a peer ({ratio:.2f}): {case}" for case, ratio in sorted(lost.items(), key=lambda i: i[1])]
    lines += [f"ERROR {case}: {error}" for case, errors in totals["errors"].items() for error in errors]
    reasons = Counter((name, reason) for row in rows for name, reason in row.missing.items())
    lines += [
        f"missing in {count} of {len(rows)} rows: {name}: {why}" for (name, why), count in sorted(reasons.items())
    ]
    lines += [f"not run, out of time: {case}" for case in not_run]
    return "\n".join(lines)


def write_json(path: Path, head: dict[str, Any], rows: list[Row], not_run: list[str]) -> None:
    """Write a results file: the machine, then a summary, then the rows."""
    data = head | {"summary": summary(rows), "not_run": not_run, "rows": [asdict(row) for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")
