"""The rows under pytest-benchmark, which keeps a history: for comparing a change with what was before.

    pytest benchmarks/bench_rows.py --benchmark-autosave
    pytest benchmarks/bench_rows.py --benchmark-compare --benchmark-columns median,iqr

Each group is a row, and its table shows the libraries beside each other. `run.py` is for the published figures: it lets them take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measure
import pytest
from libraries import ON_CPU, Library, Missing, NotForThis, Numpy
from rows import ROWS, Row


@pytest.fixture(scope="module")
def library(request: pytest.FixtureRequest) -> Library:
    try:
        return ON_CPU[request.param]()
    except Missing as reason:
        pytest.skip(f"without {request.param}: {reason}")


@pytest.mark.parametrize("library", ON_CPU, indirect=True)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row, library: Library, benchmark: Callable[..., Any]) -> None:
    """Right first, then timed."""
    benchmark.group = row.label()  # type: ignore[attr-defined]
    arrays = row.arguments()
    try:
        call = library.waiting(library.prepare(row, arrays))
    except NotForThis as reason:
        pytest.skip(str(reason))
    plain = Numpy()
    measure.check(library.read(call()), plain.read(plain.prepare(row, arrays)()), row.rtol, row.atol)
    benchmark(call)
