"""Times numfuse's own work before any kernel is compiled: microseconds a node for tracing, for the passes and for lowering."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np

import numfuse

EXAMPLES = """examples:
  python benchmarks/compile_time.py
  python benchmarks/compile_time.py --sizes 100 1000 --repeat 9
  python benchmarks/compile_time.py --passes                  the time of each pass too

Writes compile_time.json and compile_time.md.
"""
NOTES = """
Median of {rounds} runs of `f.trace(...)` and of its result's `.lower(target="cpu")`, in microseconds a node of the traced graph. Lowering is
what that takes beside the passes: building and printing the kernels. Compiling their source to machine code is not in it.
"""

Vector = Any


def chain(count: int) -> Callable[[Vector], Vector]:
    """Each operation reads the one before."""

    def function(x: Vector) -> Vector:
        for k in range(count // 3):
            x = np.tanh(x * (1.0 + 1.0 / (k + 2)))
        return x

    return function


def fan_out(count: int) -> Callable[[Vector], Vector]:
    """Each value is read twice."""

    def function(x: Vector) -> Vector:
        for k in range(int(count / 5.5)):
            left, right = np.tanh(x), x * (1.0 + 1.0 / (k + 2))
            x = np.sqrt(left * left + right) if k % 2 else left - right + 1.0
        return x

    return function


def stencil(count: int) -> Callable[[Vector], Vector]:
    """Steps of a three-point stencil read by slices; each step is two points shorter."""

    def function(u: Vector) -> Vector:
        for _ in range(count // 7):
            u = 0.5 * u[1:-1] + 0.25 * (u[:-2] + u[2:])
        return u

    return function


SHAPES: dict[str, tuple[str, Callable[[int], Callable[[Vector], Vector]]]] = {
    "chain": ("elementwise chain", chain),
    "fan-out": ("chain with fan-out", fan_out),
    "stencil": ("unrolled stencil steps", stencil),
}
SIZES = (100, 300, 1000, 3000, 10000, 20000)
LENGTH = 100_000
"""Of the argument. Nothing is computed, so it only has to be long enough for the stencil."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--only", nargs="+", choices=list(SHAPES), metavar="NAME", help=f"of: {', '.join(SHAPES)}")
    top.add_argument(
        "--sizes",
        nargs="+",
        type=int,
        default=SIZES,
        metavar="N",
        help=f"about how many nodes (default: {' '.join(map(str, SIZES))})",
    )
    top.add_argument("--passes", action="store_true", help="print the time of each pass of the largest graphs")
    top.add_argument("--repeat", type=int, default=5, metavar="N", help="runs of each (default: %(default)s)")
    top.add_argument(
        "--out", type=Path, default=measure.RESULTS, metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    top.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait, a graph, for runs in which no other process is busy (default: %(default)s)",
    )
    return top


def one_run(function: Callable[[Vector], Vector]) -> dict[str, Any]:
    """Traces and lowers once: seconds of each stage and pass, nodes and kernels."""
    jitted = numfuse.jit(function)
    argument = numfuse.spec("f4", LENGTH)
    start = time.perf_counter()
    traced = jitted.trace(argument)
    middle = time.perf_counter()
    lowered = traced.lower(target="cpu")
    end = time.perf_counter()
    passes = {stage.name: stage.seconds for stage in lowered.trail.stages}
    return {
        "nodes": len(traced.graph.nodes),
        "kernels": len(lowered.kernels),
        "trace": middle - start,
        "passes": sum(passes.values()),
        "lower": end - middle - sum(passes.values()),
        "each_pass": passes,
    }


def measured(name: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """A line of the report."""
    title, build = SHAPES[name]
    function = build(size)
    one_run(function)
    runs, others, dropped = measure.quiet_rounds(lambda: one_run(function), options.repeat, options.patience)
    nodes = runs[0]["nodes"]
    per_node = {
        stage: measure.timing([run[stage] for run in runs]).median / nodes * 1e6
        for stage in ("trace", "passes", "lower")
    }
    each = {name: measure.timing([run["each_pass"][name] for run in runs]).median for name in runs[0]["each_pass"]}
    return {
        "shape": name,
        "title": title,
        "nodes": nodes,
        "kernels": runs[0]["kernels"],
        "microseconds_per_node": per_node | {"all": sum(per_node.values())},
        "seconds_of_each_pass": each,
        "others_share_of_a_core": others,
        "rounds_dropped": dropped,
    }


def cells(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    lines = []
    for row in rows:
        stages = row["microseconds_per_node"]
        numbers = [f"{stages[stage]:.1f}" for stage in ("trace", "passes", "lower", "all")]
        seconds = stages["all"] * row["nodes"] / 1e6
        lines.append([row["title"], f"{row['nodes']:,}", str(row["kernels"]), *numbers, measure.time_text(seconds)])
    return ["", "nodes", "kernels", "trace", "passes", "lower", "us a node in all", "in all"], lines


def pass_cells(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Microseconds a node of each pass, for the largest graph of each shape."""
    largest = {row["shape"]: row for row in sorted(rows, key=lambda row: row["nodes"])}
    names = list(next(iter(largest.values()))["seconds_of_each_pass"])
    lines = [
        [row["title"], *[f"{row['seconds_of_each_pass'][name] / row['nodes'] * 1e6:.2f}" for name in names]]
        for row in largest.values()
    ]
    return ["passes, us a node", *names], lines


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.repeat < 1 or min(options.sizes) < 14:
        parser().error("--repeat is at least 1, and --sizes at least 14")
    rows = []
    for name in options.only or SHAPES:
        for size in options.sizes:
            measure.progress(f"{SHAPES[name][0]}, {size:,} nodes")
            rows.append(measured(name, size, options))
    headings, lines = cells(rows)
    tables = [(headings, lines), pass_cells(rows)]
    print("\n\n".join(measure.table(*part) for part in (tables if options.passes else tables[:1])))
    packages = measure.versions(["numfuse", "numpy"])
    told = {"benchmark": "compile_time", "date": measure.today(), "machine": measure.machine(), "versions": packages,
            "runs": options.repeat, "rows": rows}  # fmt: skip
    text = measure.heading("Compile time", told["machine"], packages)
    text += "".join(f"\n\n{measure.markdown(*part)}" for part in tables)
    most, dropped = max(row["others_share_of_a_core"] for row in rows), sum(row["rounds_dropped"] for row in rows)
    text += f"\n{NOTES.format(rounds=options.repeat)}{measure.quiet_text(most, dropped)}"
    print(
        "\n" + "\n".join(f"written: {path}" for path in measure.write_results(options.out, "compile_time", told, text))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
