"""The figures of every kernel of the benchmark rows: none may be worse than benchmarks/results/cuda_kernels.json has it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WRITTEN = json.loads((BENCHMARKS / "results" / "cuda_kernels.json").read_text())
ANEW = "if that is meant, `make cuda-report` writes them anew"

sys.path.insert(0, str(BENCHMARKS))

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("name", WRITTEN["rows"])
def test_no_figure_is_worse_than_the_one_written_down(name: str) -> None:
    import cuda_report

    (row,) = [row for row in cuda_report.REPORTED if row.name == name]
    found = cuda_report.worse(
        cuda_report.figures(row), WRITTEN["rows"][name], cuda_report.toolkit() == WRITTEN["toolkit"]
    )
    assert not found, "\n".join([*found, ANEW])


def test_every_row_is_written_down() -> None:
    import cuda_report

    assert [row.name for row in cuda_report.REPORTED] == list(WRITTEN["rows"]), ANEW


def test_what_the_hardware_allows_is_kept() -> None:
    """Whatever was written down: nothing spills, and functions of one kernel move no more than they must."""
    for name, row in WRITTEN["rows"].items():
        assert all(kernel["spill_bytes"] == 0 for kernel in row["kernels"]), name
        if len(row["kernels"]) == 1 and "ratio" in row:
            assert row["ratio"] <= 1.05, name


def test_a_worse_figure_is_found() -> None:
    import cuda_report

    row = WRITTEN["rows"]["softmax"]
    (kernel,) = row["kernels"]
    assert cuda_report.worse(row, row, True) == []
    slower = {**row, "moved": row["moved"] + 1, "kernels": [{**kernel, "registers": 255, "load_bits": 16, "blocks": 1}]}
    assert len(cuda_report.worse(slower, row, True)) == 4
    assert len(cuda_report.worse(slower, row, False)) == 3
