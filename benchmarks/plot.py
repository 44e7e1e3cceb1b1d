"""Draws the CPU benchmarks: for each row a bar for each library, as long as the library is faster than NumPy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import measure

EXAMPLES = """examples:
  python benchmarks/plot.py                              draws benchmarks/results/cpu.json as cpu.svg beside it
  python benchmarks/plot.py --results /tmp/results

Needs matplotlib, which is in the extra `bench`. benchmarks/run.py draws it too.
"""
COLOURS = {"numfuse": "#d1495b", "jax": "#30638e", "torch": "#edae49", "numexpr": "#7d8597"}


def draw(told: Mapping[str, Any], path: Path) -> None:
    """`told`: what run.py writes as cpu.json. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "numfuse"
    from matplotlib import pyplot

    names = [name for name in told["libraries"] if name != "numpy"]
    rows = told["rows"]
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(rows) + 1.2), layout="constrained")
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        shown = [(line, row["factor"][name]) for line, row in enumerate(rows) if name in row["factor"]]
        places = [line + (place - (len(names) - 1) / 2) * height for line, _ in shown]
        factors = [factor for _, factor in shown]
        axes.barh(places, [factor - 1 for factor in factors], height, 1, label=name, color=COLOURS.get(name))
        for at, factor in zip(places, factors, strict=True):
            side = "left" if factor >= 1 else "right"
            axes.annotate(f" {factor:.2g} ", (factor, at), ha=side, va="center", fontsize=6.5)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.margins(x=0.08)
    machine = told["machine"]
    axes.set_xlabel(f"times as fast as NumPy; {machine['cpu']}, {machine['cores']} cores, {told['date']}", fontsize=8)
    axes.legend(loc="lower right", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    top = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument(
        "--results",
        type=Path,
        default=measure.RESULTS,
        metavar="FOLDER",
        help="where cpu.json is (default: %(default)s)",
    )
    folder = top.parse_args(arguments).results
    try:
        told = json.loads((folder / "cpu.json").read_text())
        draw(told, folder / "cpu.svg")
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} is not there; `make bench` writes it") from None
    except ImportError as error:
        raise SystemExit(f"{error}; pip install 'numfuse[bench]'") from None
    print(f"written: {folder / 'cpu.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
