"""Unrolled loops make each distinct kernel once, however many steps there are, and write in place where that is possible."""

from __future__ import annotations

import pytest

import numfuse as nf
from tests.programs import PROGRAMS
from tests.programs.program import Program


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_distinct_kernels(program: Program) -> None:
    lowered = nf.jit(program.function).lower(*program.arguments(program.full), target="cpu")
    assert len({kernel.name for kernel in lowered.kernels}) <= program.kernels


def test_a_row_is_written_where_it_lies() -> None:
    program = PROGRAMS["Gauss-Seidel by rows"]
    lowered = nf.jit(program.function).lower(*program.arguments(program.full), target="cpu")
    _, columns = program.full
    assert max(kernel.cost["bytes"] for kernel in lowered.kernels) < 10 * columns * 8
    assert lowered.program.workspace < 2 * columns * 8
