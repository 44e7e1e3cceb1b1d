"""Which figures a GPU has to show, and whether it did (`make gpu-check`)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


def told(fraction: float, seconds: float, staged: float) -> dict[str, Any]:
    import gpu_goals

    timed = {"numfuse": SimpleNamespace(median=seconds)}
    return {
        "rows": [{"name": name, "title": name, "fraction_of_copy": fraction} for name in gpu_goals.FULL_SPEED],
        "calls": [{"name": name, "title": name, "seconds": timed} for name in gpu_goals.CALL_SECONDS],
        "transfers": {way: {"staged": staged, "driver": 10e9, "pinned": 50e9} for way in ("in", "out")},
    }


def verdicts(told: dict[str, Any]) -> set[str]:
    from gpu_goals import goals_of

    return {goal["verdict"] for goal in goals_of(told)}


def test_met_missed_and_not_measured() -> None:
    assert verdicts(told(0.9, 5e-6, 10e9)) == {"met"}
    assert verdicts(told(0.89, 11e-6, 9e9)) == {"missed"}
    assert verdicts({}) == {"not measured"}


def test_the_rows_are_there() -> None:
    import gpu_goals
    from rows import ROWS, SMALL_ROWS

    assert set(gpu_goals.FULL_SPEED) <= {row.name for row in ROWS if row.large}
    assert set(gpu_goals.CALL_SECONDS) <= {row.name for row in SMALL_ROWS}


def test_ten_kernels_are_ten() -> None:
    import numpy as np
    from rows import SMALL_ROWS

    import numfuse as nf

    (row,) = [row for row in SMALL_ROWS if row.name == "ten-kernels"]
    lowered = nf.jit(row.bound(np)).lower(*row.arguments(), target="cuda", arch="sm_90")
    assert len(lowered.kernels) == 10
