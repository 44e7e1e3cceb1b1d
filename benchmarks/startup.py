"""Times a process from its start to its first result, by each library that is installed: softmax of 4096x1024 float32 numbers, and every
row of the benchmarks once."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
from rows import ROWS, Row, rows_named

EXAMPLES = """examples:
  python benchmarks/startup.py
  python benchmarks/startup.py --repeat 11 --out /tmp/results

Writes startup.json and startup.md.
"""
NOTES = """
From the start of a fresh process to the first result, median of {rounds} rounds in which each has its turn; the operating system has the files
of all in memory. All load their argument from a file. Of the total, "first call" is the tracing, compiling, loading and computing; "next call"
is the call after. "Median of all rows": the time to the first result of each row of the CPU benchmarks, one process each, for what starts
within 2 s. An empty cache is a folder made for that one process; a filled one was filled by a process before.
"""
CHILD = Path(__file__).resolve().parent / "first_result.py"
CACHE = {"numfuse": "NUMFUSE_CACHE_DIR", "jax": "JAX_COMPILATION_CACHE_DIR", "torch": "TORCHINDUCTOR_CACHE_DIR"}
"""The setting that says where a library keeps what it compiled."""
ALWAYS_CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


@dataclass(frozen=True)
class Way:
    """A library with its cache as it is: `empty`, `filled`, or `none` where it has none or is not told to have one."""

    title: str
    package: str
    cache: str = "none"


WAYS = (
    Way("NumPy", "numpy"),
    Way("numfuse, filled cache", "numfuse", "filled"),
    Way("numfuse, empty cache", "numfuse", "empty"),
    Way("jax.jit", "jax"),
    Way("jax.jit, filled disk cache", "jax", "filled"),
    Way("torch.compile, filled cache", "torch", "filled"),
    Way("torch.compile, empty cache", "torch", "empty"),
)


PATIENT = 2.0
"""Seconds to the first result of softmax: what takes longer is not started for every row."""


class Failed(Exception):
    """A process did not give the right result; the message is the end of what it said."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (default: %(default)s)")
    top.add_argument(
        "--out", type=Path, default=measure.RESULTS, metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    top.add_argument(
        "--patience",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long to wait for rounds in which no other process is busy (default: %(default)s)",
    )
    return top


@dataclass(frozen=True)
class Task:
    """A function of `functions.py`, the file with its arguments, and the sum of its results' squares."""

    function: str
    arguments: Path
    checksum: float


def task_of(row: Row, folder: Path) -> Task:
    arrays = row.arguments()
    path = folder / f"{row.name}.npz"
    np.savez(path, *arrays)
    expected = measure.as_list(row.function(np, *arrays))
    return Task(row.function.__name__, path, sum(float(np.square(part, dtype="f8").sum()) for part in expected))


def start(way: Way, task: Task, folder: Path) -> dict[str, float]:
    """Runs one process: seconds to its first result (`total`), and what it told of itself."""
    environment = {key: value for key, value in os.environ.items() if key not in CACHE.values()}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["JAX_PLATFORMS"] = "cpu"
    if way.cache != "none":
        kept = folder / way.package if way.cache == "filled" else Path(tempfile.mkdtemp(dir=folder))
        environment |= {CACHE[way.package]: str(kept), **(ALWAYS_CACHE if way.package == "jax" else {})}
    with tempfile.TemporaryFile(dir=folder) as errors:
        begin = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, str(CHILD), way.package, task.function, str(task.arguments)],
            env=environment, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        assert child.stdout is not None
        first_line = child.stdout.readline()
        total = time.perf_counter() - begin
        rest = child.stdout.read()
        if child.wait():
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
            raise Failed(lines[-1] if lines else f"exit code {child.returncode}")
    told = {"total": total, **json.loads(first_line), **json.loads(rest)}
    if abs(told["checksum"] - task.checksum) > 1e-4 * task.checksum:
        raise Failed(f"wrong result: checksum {told['checksum']:.9g} in place of {task.checksum:.9g}")
    return told


def primed(ways: Sequence[Way], task: Task, folder: Path) -> tuple[list[Way], dict[str, str]]:
    """Starts each once, which fills the caches. Returns those that work, and why the others do not."""
    working, left_out = [], {}
    for way in ways:
        if importlib.util.find_spec(way.package) is None:
            left_out[way.title] = "not installed"
            continue
        measure.progress(f"first run: {way.title}")
        try:
            start(way, task, folder)
            working.append(way)
        except Failed as reason:
            left_out[way.title] = str(reason)
    return working, left_out


def measured(ways: Sequence[Way], task: Task, folder: Path, options: Any) -> dict[str, Any]:
    """The lines of the report, and what disturbed it."""
    done = 0

    def one_round() -> dict[str, dict[str, float]]:
        nonlocal done
        done += 1
        measure.progress(f"round {done} (of {options.repeat})")
        return {way.title: start(way, task, folder) for way in ways}

    rounds, others, dropped = measure.quiet_rounds(one_round, options.repeat, options.patience)
    lines = []
    for way in ways:
        parts = {
            part: measure.timing([taken[way.title][part] for taken in rounds]) for part in ("total", "first", "again")
        }
        lines.append({"title": way.title, "package": way.package, "cache": way.cache, "seconds": parts})
    return {"rows": lines, "rounds": options.repeat, "others_share_of_a_core": others, "rounds_dropped": dropped}


def of_every_row(ways: Sequence[Way], folder: Path) -> dict[str, dict[str, float]]:
    """Seconds to the first result of each row, once, where its cache is filled after a process that filled it; by the way's title."""
    taken: dict[str, dict[str, float]] = {way.title: {} for way in ways}
    for row in ROWS:
        measure.progress(f"every row: {row.label()}")
        task = task_of(row, folder)
        for way in ways:
            try:
                if way.cache == "filled":
                    start(way, task, folder)
                taken[way.title][row.name] = start(way, task, folder)["total"]
            except Failed as reason:
                measure.progress(f"  {way.title}: {reason}")
        task.arguments.unlink()
    return taken


def cells(rows: Sequence[dict[str, Any]], every_row: dict[str, dict[str, float]]) -> tuple[list[str], list[list[str]]]:
    lines = []
    for row in rows:
        total, first, again = (row["seconds"][part] for part in ("total", "first", "again"))
        spread = f"{measure.time_text(total.low)} - {measure.time_text(total.high)}"
        texts = [measure.time_text(part.median) for part in (total, first, again)]
        every = every_row.get(row["title"], {}).values()
        middle = f"{measure.time_text(statistics.median(every))} of {len(every)}" if every else "-"
        lines.append([row["title"], texts[0], spread, *texts[1:], middle])
    return ["", "process start to first result", "range", "of it first call", "next call", "median of all rows"], lines


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.repeat < 1:
        parser().error("--repeat is at least 1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (row,) = rows_named(["softmax"])
        task = task_of(row, folder)
        ways, left_out = primed(WAYS, task, folder)
        told = measured(ways, task, folder, options)
        quick = {line["title"] for line in told["rows"] if line["seconds"]["total"].median < PATIENT}
        told["every_row"] = of_every_row([way for way in ways if way.title in quick], folder)
    packages = measure.versions(["numpy", "numfuse", "numba", "llvmlite", "jax", "jaxlib", "torch"])
    told = {"benchmark": "startup", "date": measure.today(), "machine": measure.machine(), "versions": packages,
            "left_out": left_out, **told}  # fmt: skip
    headings, lines = cells(told["rows"], told["every_row"])
    notes = NOTES.format(rounds=options.repeat) + measure.quiet_text(
        told["others_share_of_a_core"], told["rounds_dropped"]
    )
    notes += "".join(f"\n\nWithout {title}: {reason}." for title, reason in left_out.items())
    text = measure.heading("Start-up", told["machine"], packages)
    print(measure.table(headings, lines))
    paths = measure.write_results(
        options.out, "startup", told, f"{text}\n\n{measure.markdown(headings, lines)}\n{notes}"
    )
    print(
        "\n" + "\n".join([*[f"without {k}: {v}" for k, v in left_out.items()], *[f"written: {path}" for path in paths]])
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
