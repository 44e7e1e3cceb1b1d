"""What the examples share: times as medians, the check against NumPy, and the table that says both."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import numfuse


def arguments(description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser whose help shows `epilog` as it is written."""
    return argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that takes a number from `least` upwards."""

    def number(text: str) -> int:
        if not text.replace("_", "").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} upwards")
        return int(text)

    return number


def compare(plain: Callable[..., Any], fused: numfuse.JitFunction, *args: Any, tolerance: float) -> bool:
    """Runs the plain and the jitted function, prints times, kernels and the error; returns whether it is within `tolerance`."""
    started = time.perf_counter()
    result = fused(*args)
    first = time.perf_counter() - started
    error = relative_error(result, plain(*args))
    right = error <= tolerance
    slow, slow_runs = median_time(plain, *args)
    fast, fast_runs = median_time(fused, *args)
    lowered = fused.lower(*args)
    names = [kernel.name for kernel in lowered.kernels]
    rows = [
        ("NumPy", f"{1000 * slow:9.3f} ms   median of {slow_runs}"),
        ("numfuse", f"{1000 * fast:9.3f} ms   median of {fast_runs}, on {lowered.device.describe()}"),
        ("ratio", f"{slow / fast:9.1f}"),
        ("first call", f"{1000 * first:9.3f} ms   with tracing, and compiling or loading from the cache"),
        ("kernels", f"{len(names):9}      {', '.join(names)}"),
        ("library calls", f"{len(lowered.library_calls):9}      {', '.join(lowered.library_calls)}"),
        (
            "error",
            f"{error:9.1e}      relative to NumPy: {'right' if right else 'WRONG'}, at most {tolerance:.0e} is allowed",
        ),
    ]
    print(f"{plain.__name__}({', '.join(map(described, args))})")
    for name, text in rows:
        print(f"  {name:<14}{text.rstrip()}")
    return right


def median_time(function: Callable[..., Any], *args: Any, seconds: float = 1.0) -> tuple[float, int]:
    """The median time of a call, in seconds, and of how many calls: 5 at least, then as many as `seconds` allow, at most 201."""
    times: list[float] = []
    while len(times) < 5 or (sum(times) < seconds and len(times) < 201):
        started = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - started)
    return statistics.median(times), len(times)


def relative_error(result: Any, expected: Any) -> float:
    """The greatest relative error in the arrays of a result; values below the mean of their array are measured against the mean.

    Infinite for another shape or dtype than expected, and where the result is not finite.
    """
    if isinstance(expected, tuple):
        return max(relative_error(*pair) for pair in zip(result, expected, strict=True))
    if (result.shape, result.dtype) != (expected.shape, expected.dtype) or not np.isfinite(result).all():
        return float("inf")
    expected = expected.astype(np.float64)
    size = np.abs(expected)
    return float((np.abs(result - expected) / np.maximum(size, size.mean())).max())


def described(value: Any) -> str:
    """`float32[427,640,3]` for an array, numbers as they are."""
    if not isinstance(value, np.ndarray):
        return str(value)
    return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns: the first one to the left, the others to the right."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *[cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]])
        for line in lines
    )
