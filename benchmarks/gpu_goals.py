"""What a GPU has to show, and whether it did. Takes the plain data of `gpu_check.py`, so that it needs no GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FRACTION_OF_COPY = 0.9
FULL_SPEED = ("saxpy", "gelu", "black-scholes", "waves", "softmax", "layer-norm", "squared-distance", "sum")
"""The rows whose kernels wait for memory alone: elementwise work, rows in one reading, full reductions."""
CALL_SECONDS = {"one-kernel": 5e-6, "ten-kernels": 10e-6}

Goal = dict[str, str]


def goals_of(told: Mapping[str, Any]) -> list[Goal]:
    """For each goal `what` it is, the `text` of what was wanted and found, and the `verdict`: met, missed or not measured."""
    rows = {row["name"]: row for row in (*told.get("rows", ()), *told.get("calls", ()))}
    return [*_bandwidths(rows), *_calls(rows), *_transfers(told.get("transfers", {}))]


def _bandwidths(rows: Mapping[str, Any]) -> list[Goal]:
    goals = []
    for name in FULL_SPEED:
        found = rows.get(name, {}).get("fraction_of_copy")
        wanted = f"at least {FRACTION_OF_COPY:.0%} of the copy bandwidth"
        goals.append(
            _goal(_title(rows, name), wanted, found and f"{found:.0%}", found is not None and found >= FRACTION_OF_COPY)
        )
    return goals


def _calls(rows: Mapping[str, Any]) -> list[Goal]:
    goals = []
    for name, most in CALL_SECONDS.items():
        timed = rows.get(name, {}).get("seconds", {}).get("numfuse")
        found = None if timed is None else timed.median
        goals.append(
            _goal(
                f"a call: {_title(rows, name)}",
                f"at most {most * 1e6:.0f} us",
                None if found is None else f"{found * 1e6:.1f} us",
                found is not None and found <= most,
            )
        )
    return goals


def _transfers(told: Mapping[str, Mapping[str, float]]) -> list[Goal]:
    """Staging has to be worth it: faster than the driver's own copies of pageable memory."""
    goals = []
    for way, title in {"in": "host arrays on their way in", "out": "results on their way out"}.items():
        rates = told.get(way)
        text = rates and " GB/s, ".join(f"{name} {rate / 1e9:.1f}" for name, rate in rates.items()) + " GB/s"
        met = rates is not None and rates["staged"] >= rates["driver"]
        goals.append(_goal(title, "staged as fast as the driver's copies at least", text, met))
    return goals


def _title(rows: Mapping[str, Any], name: str) -> str:
    return rows[name]["title"] if name in rows else name


def _goal(what: str, wanted: str, found: str | None, met: bool) -> Goal:
    verdict = "not measured" if found is None else "met" if met else "missed"
    return {"what": what, "text": wanted + (f"; {found}" if found else ""), "verdict": verdict}
