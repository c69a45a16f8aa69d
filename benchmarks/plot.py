"""Draw a results file: how many times faster than the fastest peer, and the fraction of copy speed, per case."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FASTER, SLOWER, COPY = "#2f6f9f", "#b5452c", "#e0a030"


def drawable(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows with at least one peer, the best ratio last: it is drawn on top."""
    rows = [row for row in results["rows"] if row["gpupool_us"] and row["copy_us"] and row["peers"]]
    return sorted(rows, key=lambda row: min(row["peers"].values()) / row["gpupool_us"])


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the plot of a results file to `path`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    rows = drawable(results)
    if not rows:
        raise ValueError("the results have no row with a peer")
    names = [row["case"] for row in rows]
    ratios = [min(row["peers"].values()) / row["gpupool_us"] for row in rows]
    fastest = [min(row["peers"], key=row["peers"].__getitem__) for row in rows]
    places = range(len(rows))
    figure, axes = plt.subplots(figsize=(11, 1.8 + 0.27 * len(rows)), layout="constrained")
    axes.barh(places, [r - 1 for r in ratios], left=1, color=[FASTER if r >= 1 else SLOWER for r in ratios], height=0.7)
    for place, ratio, peer in zip(places, ratios, fastest, strict=True):
        axes.annotate(
            f"{ratio:.2f}x {peer}", (max(ratio, 1), place), (4, 0), textcoords="offset points", va="center", fontsize=7
        )
    copies = [row["copy_us"] / row["gpupool_us"] for row in rows]
    axes.scatter(copies, places, marker="|", s=90, linewidths=2, color=COPY, zorder=3, label="fraction of copy speed")
    axes.axvline(1, color="black", linewidth=1, label="fastest peer / copy speed")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(min(0.25, 0.8 * min(ratios + copies)), 3 * max([*ratios, 1.0]))
    axes.set_yticks(places, names, fontsize=7)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("times the fastest peer's speed (bars); fraction of copy speed (marks)")
    threads = f", {results['threads']} threads" if "threads" in results else ""
    axes.set_title(f"gpupool on {results['device']}{threads}, {results['date'][:10]}", fontsize=10)
    figure.legend(loc="outside lower right", fontsize=8, ncols=2)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 with one line about what is wrong with the input."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    p.add_argument("results", type=Path, help="a file that benchmarks.run wrote with --json")
    p.add_argument("-o", "--output", type=Path, help="default: the same name with .png")
    args = p.parse_args(argv)
    output = args.output or args.results.with_suffix(".png")
    try:
        draw(json.loads(args.results.read_text()), output)
    except (OSError, ValueError, KeyError) as error:
        print(f"benchmarks.plot: {args.results}: {error}", file=sys.stderr)
        return 2
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
