"""Times NumPy functions on the CPU: NumPy, numfuse, and the peers that are installed, turn by turn in one process."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
from libraries import ON_CPU, Library, NotForThis, Numpy, opened
from plot import draw
from rows import ROWS, Arrays, Row, rows_named

EXAMPLES = """examples:
  python benchmarks/run.py                                  all rows, all libraries that are installed
  python benchmarks/run.py --only softmax gelu --repeat 30
  python benchmarks/run.py --peers numpy,jax --out /tmp/results

Each result is compared with NumPy's before it is timed. Writes cpu.json and cpu.md.
"""
NOTES = """
Time of a call: the median over {rounds} rounds, in which each library has its turn (A B C A B C ...). A turn is a pause, one call that is
not counted, and as many calls as take about 20 ms. Arguments lie in the library's own arrays before the clock starts; results are waited for.
{quiet}
The factor is NumPy's time by the library's. JAX is `jax.jit` with 64-bit types, torch is `torch.compile`; all have their usual number of
threads. numexpr runs the elementwise rows only. Its literals are given as float32 in float32 rows, and its two results of one function are
two expressions.
"""
FIRST = """
From the function to its first result in this process, with empty caches: tracing, compiling and one call. The first row has what a library does once.
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"rows to run, of: {', '.join(row.name for row in ROWS)}"
    )
    top.add_argument(
        "--out", type=Path, default=measure.RESULTS, metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    top.add_argument(
        "--peers",
        default="numpy,jax,torch,numexpr",
        metavar="A,B",
        help="what to compare with (default: %(default)s); NumPy is always run, since it gives the right results",
    )
    top.add_argument("--repeat", type=int, default=15, metavar="N", help="rounds (default: %(default)s)")
    top.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait, a row, for rounds in which no other process is busy (default: %(default)s)",
    )
    return top


def run_row(row: Row, libraries: Sequence[Library], rounds: int, patience: float) -> dict[str, Any]:
    """One row of the report. A library that fails, or computes something else than NumPy, is left out with the reason."""
    arrays = row.arguments()
    plain = Numpy()
    expected = plain.read(plain.prepare(row, arrays)())
    runners: dict[str, measure.Runner] = {}
    firsts: dict[str, float] = {}
    errors: dict[str, float] = {}
    left_out: dict[str, str] = {}
    failed: dict[str, str] = {}
    for library in libraries:
        try:
            call, firsts[library.name], errors[library.name] = _checked(library, row, arrays, expected)
            runners[library.name] = measure.Runner(call, measure.host_clock)
        except NotForThis as reason:
            left_out[library.name] = str(reason)
        except Exception as error:
            failed[library.name] = f"{type(error).__name__}: {error}"
            measure.progress(f"  {library.name} failed: {failed[library.name].splitlines()[0]}")
    measured = measure.interleaved(runners, rounds, patience=patience)
    timings, baseline = measured.timings, measured.timings["numpy"].median
    return {
        "name": row.name,
        "title": row.label(),
        "seconds": timings,
        "first_seconds": firsts,
        "factor": {name: baseline / timing.median for name, timing in timings.items() if name != "numpy"},
        "difference": errors,
        "others_share_of_a_core": measured.others,
        "rounds_dropped": measured.dropped,
        "left_out": left_out,
        "failed": failed,
    }


def _checked(library: Library, row: Row, arrays: Arrays, expected: list[Any]) -> tuple[Any, float, float]:
    """A call, how long it took until its first result, and how far that is from what is expected."""
    start = time.perf_counter()
    call = library.waiting(library.prepare(row, arrays))
    result = call()
    first = time.perf_counter() - start
    return call, first, measure.check(library.read(result), expected, row.rtol, row.atol)


def report(rows: Sequence[dict[str, Any]], libraries: Sequence[Library], missing: dict[str, str]) -> dict[str, Any]:
    """All there is to tell, as plain data."""
    names = [library.name for library in libraries]
    means = {
        name: measure.geometric_mean(row["factor"][name] for row in rows if name in row["factor"])
        for name in names
        if name != "numpy"
    }
    return {
        "benchmark": "cpu",
        "date": measure.today(),
        "machine": measure.machine(),
        "versions": measure.versions(package for library in libraries for package in library.packages),
        "libraries": names,
        "missing": missing,
        "rows": list(rows),
        "geometric_mean": means,
        "rows_of_mean": {name: sum(name in row["factor"] for row in rows) for name in means},
    }


def cells(told: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table: a line for each row, a column for each library, and the geometric means."""
    names = told["libraries"]
    lines = []
    for row in told["rows"]:
        line = [row["title"]]
        for name in names:
            if name in row["seconds"]:
                factor = f" ({measure.ratio_text(row['factor'][name])})" if name in row["factor"] else ""
                line.append(measure.time_text(row["seconds"][name].median) + factor)
            else:
                line.append("failed" if name in row["failed"] else "-")
        lines.append(line)
    mean = ["geometric mean of the factors"]
    for name in names:
        value = told["geometric_mean"].get(name)
        count = told["rows_of_mean"].get(name, 0)
        mean.append("" if value is None else f"{measure.ratio_text(value)} of {count} row{'s' if count != 1 else ''}")
    return ["", *names], [*lines, mean]


def first_cells(told: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table of first calls, and the medians over the rows."""
    names = [name for name in told["libraries"] if name != "numpy"]
    lines = []
    for row in told["rows"]:
        firsts = row["first_seconds"]
        lines.append([row["title"], *[measure.time_text(firsts[n]) if n in firsts else "-" for n in names]])
    middle = [[row["first_seconds"][n] for row in told["rows"] if n in row["first_seconds"]] for n in names]
    lines.append(["median", *[measure.time_text(statistics.median(times)) if times else "-" for times in middle]])
    return ["first call", *names], lines


def quiet_text(rows: Sequence[dict[str, Any]]) -> str:
    """What other processes did meanwhile."""
    disturbed = [row["title"] for row in rows if row["others_share_of_a_core"] > measure.QUIET]
    most, dropped = max(row["others_share_of_a_core"] for row in rows), sum(row["rounds_dropped"] for row in rows)
    return measure.quiet_text(most, dropped) + (f" (In: {'; '.join(disturbed)}.)" if disturbed else "")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    rows = rows_named(options.only)
    peers = [name for name in options.peers.split(",") if name]
    unknown = set(peers) - set(ON_CPU)
    if unknown or options.repeat < 1:
        parser().error(
            f"there is no peer {min(unknown)!r}; the peers are {', '.join(ON_CPU)}"
            if unknown
            else "--repeat is at least 1"
        )
    caches = tempfile.TemporaryDirectory()  # first calls are to compile
    os.environ |= {"NUMFUSE_CACHE_DIR": f"{caches.name}/numfuse", "TORCHINDUCTOR_CACHE_DIR": f"{caches.name}/torch"}
    libraries, missing = opened(
        ON_CPU, ["numpy", "numfuse", *[name for name in peers if name not in ("numpy", "numfuse")]]
    )
    for name, reason in missing.items():
        measure.progress(f"without {name}: {reason}")
    made = []
    for number, row in enumerate(rows, 1):
        measure.progress(f"[{number}/{len(rows)}] {row.label()}")
        made.append(run_row(row, libraries, options.repeat, options.patience))
    told = report(made, libraries, missing)
    headings, lines = cells(told)
    print(measure.table(headings, lines))
    faults = [f"{row['name']}: {name}: {reason}" for row in made for name, reason in row["failed"].items()]
    notes = NOTES.format(rounds=options.repeat, quiet=quiet_text(made)) + "".join(
        f"\nWithout {name}: {why}." for name, why in missing.items()
    )
    notes += "".join(f"\n\nFailed: {fault}" for fault in faults)
    text = f"{measure.heading('CPU benchmarks', told['machine'], told['versions'])}\n\n{measure.markdown(headings, lines)}\n{notes}"
    text += f"\n\n{measure.markdown(*first_cells(told))}\n{FIRST}"
    paths = measure.write_results(options.out, "cpu", told, text)
    try:
        draw(told, options.out / "cpu.svg")
        paths.append(options.out / "cpu.svg")
    except ImportError as error:
        measure.progress(f"no plot: {error}")
    print("\n" + "\n".join([*faults, *[f"written: {path}" for path in paths]]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
