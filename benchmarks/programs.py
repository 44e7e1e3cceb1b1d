"""Times whole NumPy programs: NumPy and numfuse turn by turn in one process; and what their first call takes, by stages."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
import unmodified

import numfuse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.programs import PROGRAMS
from tests.programs.program import Program

EXAMPLES = """examples:
  python benchmarks/programs.py
  python benchmarks/programs.py --only ADI LeNet --repeat 15
  python benchmarks/programs.py --peers torch --limit 300

Each result is compared with NumPy's before it is timed. Writes programs.json and programs.md.
"""
NOTES = """
The programs are those of tests/programs, unmodified but for the decorator, at their full size. Time of a call: the median over {rounds} rounds,
in which NumPy and numfuse have their turn after a pause, in which the threads of the one before go to sleep; each call gets arguments of its own,
copied before the clock starts, since many programs write to theirs. {quiet}
The factor is NumPy's time by numfuse's. `trace` and `lower` (passes and printing) are of one run; `first call` is in a process that has loaded
Numba, with an empty cache; `kernels` are distinct ones, each compiled once, and `launches` how often kernels and library calls run in a call.
{peers}"""
PEERS = """
The last columns: the same functions under `jax.jit` and `torch.compile`, which takes NumPy code, each in a process of its own in which NumPy has
turns too: NumPy's time by theirs, or what came instead of the right result within {limit:.0f} s.
"""


PAUSE = 0.1
"""Seconds: the threads of NumPy's BLAS look out for work for up to 0.1 s before they sleep, and take a core meanwhile."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"programs whose name holds one of these, of: {', '.join(PROGRAMS)}"
    )
    top.add_argument("--repeat", type=int, default=9, metavar="N", help="rounds (default: %(default)s)")
    top.add_argument(
        "--out", type=Path, default=measure.RESULTS, metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    top.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait, a program, for rounds in which no other process is busy (default: %(default)s)",
    )
    top.add_argument(
        "--peers",
        nargs="*",
        default=list(unmodified.COMPILERS),
        choices=list(unmodified.COMPILERS),
        help="who else is given the programs (default: all)",
    )
    top.add_argument(
        "--limit",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long one of them may take (default: %(default)s)",
    )
    return top


def arrays_of(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in arrays_of(part)]
    return [] if value is None else [np.asarray(value)]


def seconds_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    """Of one call with copies of the arguments."""
    mine = [value.copy() if isinstance(value, np.ndarray) else value for value in arguments]
    start = time.perf_counter()
    function(*mine)
    return time.perf_counter() - start


def check(program: Program, function: Callable[..., Any]) -> float:
    """Compares results and written arguments; returns the seconds of numfuse's call."""
    ours, theirs = program.arguments(program.full), program.arguments(program.full)
    start = time.perf_counter()
    got = function(*ours)
    seconds = time.perf_counter() - start
    wanted = arrays_of((program.function(*theirs), theirs))
    scale = max([float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) for array in wanted])
    finite = [np.where(np.isfinite(array), array, 0) for array in wanted]
    measure.check([abs(np.where(np.isfinite(array), array, 0)) for array in arrays_of((got, ours))],
                  [abs(array) for array in finite], program.rtol, program.rtol * scale)  # fmt: skip
    return seconds


def measured(program: Program, rounds: int, patience: float) -> dict[str, Any]:
    """A line of the report."""
    arguments = program.arguments(program.full)
    function = numfuse.jit(program.function, target="cpu")
    start = time.perf_counter()
    traced = function.trace(*arguments)
    middle = time.perf_counter()
    lowered = traced.lower(target="cpu")
    end = time.perf_counter()
    first = check(program, function)
    runners = {"numpy": program.function, "numfuse": function}

    def turn(runner: Callable[..., Any]) -> float:
        time.sleep(PAUSE)
        return min(seconds_of(runner, arguments) for _ in range(2))

    def one() -> dict[str, float]:
        return {name: turn(runner) for name, runner in runners.items()}

    taken, others, dropped = measure.quiet_rounds(one, rounds, patience)
    timings = {name: measure.timing([seconds[name] for seconds in taken], 1) for name in runners}
    return {
        "name": program.name,
        "size": program.full,
        "seconds": timings,
        "factor": timings["numpy"].median / timings["numfuse"].median,
        "trace": middle - start,
        "lower": end - middle,
        "first_call": first,
        "nodes": len(traced.graph.nodes),
        "kernels": len({kernel.name for kernel in lowered.kernels}),
        "launches": len(lowered.kernels) + len(lowered.library_calls),
        "others_share_of_a_core": others,
        "rounds_dropped": dropped,
    }


def peer_text(found: dict[str, Any]) -> str:
    return measure.ratio_text(found["factor"]) if "factor" in found else found["reason"].partition(":")[0]


def cells(rows: Sequence[dict[str, Any]], peers: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    lines = []
    for row in rows:
        size = "x".join(map(str, row["size"]))
        ours = row["seconds"]["numfuse"].median
        times = [
            measure.time_text(row["seconds"]["numpy"].median),
            measure.time_text(ours),
            measure.ratio_text(row["factor"]),
        ]
        stages = [measure.time_text(row[stage]) for stage in ("trace", "lower", "first_call")]
        theirs = [peer_text(row["peers"][peer]) for peer in peers]
        lines.append([f"{row['name']}, {size}", *times, *stages, str(row["kernels"]), f"{row['launches']:,}", *theirs])
    mean = measure.geometric_mean(row["factor"] for row in rows)
    lines.append(["geometric mean", "", "", measure.ratio_text(mean or 0.0), "", "", "", "", "", *[""] * len(peers)])
    return ["", "numpy", "numfuse", "factor", "trace", "lower", "first call", "kernels", "launches", *peers], lines


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    programs = [
        p for p in PROGRAMS.values() if not options.only or any(part.lower() in p.name.lower() for part in options.only)
    ]
    if not programs or options.repeat < 1:
        parser().error("no program has such a name" if not programs else "--repeat is at least 1")
    os.environ["NUMFUSE_CACHE_DIR"] = tempfile.mkdtemp()
    numfuse.jit(lambda x: x + 1, target="cpu")(np.zeros(3))
    rows, faults = [], []
    with np.errstate(all="ignore"):
        for number, program in enumerate(programs, 1):
            measure.progress(f"[{number}/{len(programs)}] {program.name}")
            try:
                rows.append(measured(program, options.repeat, options.patience))
            except measure.Mismatch as error:
                faults.append(f"{program.name}: {error}")
    for number, row in enumerate(rows, 1):
        row["peers"] = {}
        for peer in options.peers:
            measure.progress(f"[{number}/{len(rows)}] {row['name']}: {peer}")
            row["peers"][peer] = unmodified.tried(peer, row["name"], options.limit)
    headings, lines = cells(rows, options.peers)
    print(measure.table(headings, lines))
    others, dropped = max(row["others_share_of_a_core"] for row in rows), sum(row["rounds_dropped"] for row in rows)
    packages = measure.versions(["numfuse", "numpy", "numba", *options.peers])
    told = {"benchmark": "programs", "date": measure.today(), "machine": measure.machine(), "versions": packages,
            "rounds": options.repeat, "rows": rows, "failed": faults}  # fmt: skip
    notes = NOTES.format(rounds=options.repeat, quiet=measure.quiet_text(others, dropped),
                         peers=PEERS.format(limit=options.limit) if options.peers else "")  # fmt: skip
    notes += "".join(f"\n\nFailed: {fault}" for fault in faults)
    text = measure.heading("Whole programs", told["machine"], packages)
    paths = measure.write_results(
        options.out, "programs", told, f"{text}\n\n{measure.markdown(headings, lines)}\n{notes}"
    )
    print("\n" + "\n".join([*faults, *[f"written: {path}" for path in paths]]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
