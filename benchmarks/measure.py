"""What the benchmarks share: interleaved timing, comparison with NumPy, tables, result files, a description of the machine."""

from __future__ import annotations

import datetime
import gc
import importlib.metadata
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")

RESULTS = Path(__file__).resolve().parent / "results"

Call = Callable[[], Any]
Clock = Callable[[Call, int], float]
"""Seconds that so many calls take."""


class Mismatch(Exception):
    """A result differs from NumPy's; the message says by how much."""


# -- timing --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median of the turns, the quickest and the slowest; and how many turns of how many calls."""

    median: float
    low: float
    high: float
    turns: int
    calls: int


@dataclass(frozen=True)
class Runner:
    """Something to time, and the clock that times it."""

    call: Call
    clock: Clock


def host_clock(call: Call, count: int) -> float:
    """Seconds for `count` calls; each result is dropped at once."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Measured:
    """The timings of a row. `others`: the most that other processes took of a core in a round that counts; `dropped`: rounds that do not."""

    timings: dict[str, Timing]
    others: float
    dropped: int


def interleaved(
    runners: Mapping[str, Runner],
    rounds: int,
    *,
    patience: float = 60.0,
    turn_seconds: float = 0.02,
    pause: float = 0.1,
) -> Measured:
    """Times each in turn, round after round (A B C A B C ...), so that a change of the machine's speed meets all of them.

    A turn is a pause, in which the threads of the one before go to sleep (those of OpenBLAS look out for work that long), a call that is not
    counted, and then as many calls as take about `turn_seconds`. Rounds in which other processes were busy are measured again, for up to `patience`
    seconds; then the quietest count.
    """
    counts = {name: _calls(runner, turn_seconds) for name, runner in runners.items()}
    gc.collect()
    gc.disable()
    try:
        kept, others, dropped = quiet_rounds(
            lambda: {name: _turn(runner, counts[name], pause) for name, runner in runners.items()}, rounds, patience
        )
    finally:
        gc.enable()
    timings = {name: timing([seconds[name] for seconds in kept], counts[name]) for name in runners}
    return Measured(timings, others, dropped)


def quiet_rounds(one: Callable[[], Result], rounds: int, patience: float) -> tuple[list[Result], float, int]:
    """`one()` again and again, until `rounds` of them met no busy process, or until `patience` seconds are over: the quietest results, the most
    that other processes took of a core in them, and how many were dropped."""
    taken: list[tuple[float, Result]] = []
    deadline = time.monotonic() + patience
    while sum(share <= QUIET for share, _ in taken) < rounds:
        if len(taken) >= rounds and time.monotonic() > deadline:
            break
        watch = Others()
        result = one()
        taken.append((watch.share(), result))
        if taken[-1][0] > QUIET and time.monotonic() < deadline:
            time.sleep(0.5)
    kept = sorted(taken, key=lambda pair: pair[0])[:rounds]
    return [result for _, result in kept], kept[-1][0], len(taken) - len(kept)


def _calls(runner: Runner, turn_seconds: float) -> int:
    runner.clock(runner.call, 2)
    once = runner.clock(runner.call, 1)
    few = max(1, min(1000, int(turn_seconds / 10 / max(once, 1e-9))))
    return max(1, int(turn_seconds / max(runner.clock(runner.call, few) / few, 1e-9)))


def _turn(runner: Runner, count: int, pause: float) -> float:
    time.sleep(pause)
    runner.clock(runner.call, 1)
    return runner.clock(runner.call, count) / count


QUIET = 0.1
"""Of a core: what other processes may take."""


class Others:
    """How much of a core other processes take, from now on. Linux only; 0 elsewhere."""

    def __init__(self) -> None:
        self.start, self.busy, self.own = time.monotonic(), _busy_seconds(), sum(os.times()[:4])

    def share(self) -> float:
        busy, own = _busy_seconds() - self.busy, sum(os.times()[:4]) - self.own
        return max(0.0, busy - own) / max(time.monotonic() - self.start, 1e-9)


def _busy_seconds() -> float:
    """What all cores have worked since the machine started."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, soft, *_ = [int(field) for field in file.readline().split()[1:]]
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def timing(seconds: Sequence[float], calls: int = 1) -> Timing:
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds), calls)


# -- results against NumPy -----------------------------------------------------------------------------------------------


def check(got: Sequence[Any], expected: Sequence[Any], rtol: float, atol: float) -> float:
    """The largest difference as a fraction of what is allowed, `atol + rtol * abs(expected)`. Raises Mismatch above 1."""
    if len(got) != len(expected):
        raise Mismatch(f"{len(got)} results in place of {len(expected)}")
    worst = 0.0
    for one, other in zip(got, expected, strict=True):
        array, wanted = np.asarray(one), np.asarray(other)
        if array.shape != wanted.shape or array.dtype != wanted.dtype:
            raise Mismatch(f"{array.dtype}{list(array.shape)} in place of {wanted.dtype}{list(wanted.shape)}")
        allowed = atol + rtol * np.abs(wanted.astype("f8"))
        difference = np.abs(array.astype("f8") - wanted) / allowed
        worst = max(worst, float(difference.max(initial=0.0)) if not np.isnan(difference).any() else math.inf)
    if worst > 1:
        raise Mismatch(f"differs from NumPy by {worst:.3g} times what is allowed (rtol {rtol:g}, atol {atol:g})")
    return worst


def as_list(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def geometric_mean(values: Iterable[float]) -> float | None:
    """None of no values."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else None


# -- tables and files ----------------------------------------------------------------------------------------------------


def time_text(seconds: float) -> str:
    """`12.3 ms`, with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{_three(seconds / size)} {unit}"
    return f"{_three(seconds / 1e-6)} us"


def ratio_text(ratio: float) -> str:
    return f"{_three(ratio)}x"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """For a terminal: the first column to the left, the others to the right."""
    widths = [max(len(line[k]) for line in (headings, *rows)) for k in range(len(headings))]
    lines = [[c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))]
             for line in (headings, *rows)]  # fmt: skip
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|---" + "|--:" * (len(headings) - 1) + "|"
    return "\n".join([line(headings), rule, *[line(row) for row in rows]])


def write_results(folder: Path, name: str, content: Mapping[str, Any], text: str) -> list[Path]:
    """Writes `name`.json and `name`.md; returns where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.json", folder / f"{name}.md"]
    paths[0].write_text(json.dumps(content, indent=2, default=_plain) + "\n")
    paths[1].write_text(text.rstrip() + "\n")
    return paths


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Timing) else str(value)


def progress(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


# -- the machine ---------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """The CPU's model, the cores this process may use, and the Python."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def today() -> str:
    return datetime.date.today().isoformat()


def quiet_text(others: float, dropped: int) -> str:
    """What other processes did during the rounds that count, for a report."""
    text = (
        f"Rounds in which other processes took more than {QUIET:.0%} of a core were measured again: {dropped} of them."
    )
    return text + (f" DISTURBED all the same: others took {others:.0%} of a core." if others > QUIET else "")


def heading(title: str, about: Mapping[str, Any], packages: Mapping[str, str]) -> str:
    """The head of a Markdown report."""
    where = f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}"
    told = ", ".join(f"{name} {version}" for name, version in packages.items())
    return f"# {title}\n\n{today()}. {where}. {told}."
