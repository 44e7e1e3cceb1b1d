"""Products that kernels compute: what they are written as, and that they mean the same."""

from __future__ import annotations

import pytest
from numfuse.passes import panels as module
from numfuse.passes.panels import panels

import numfuse as nf
from tests.no_device.passes.test_passes import check, graph


def test_columns_side_by_side_are_read_as_they_lie() -> None:
    before = graph("%a: f32[30,20], %b: f32[20,60]", "%1", "%1: f32[30,60] = matmul(%a, %b)")
    check(before, panels(before, 64), "%1: f32[30,60] = product(%a, %b, panels=(False,), vector=64)")
    assert panels(before, 0) is before


def test_others_are_copied_into_panels() -> None:
    before = graph(
        "%a: f32[30,20], %b: f32[100,20]",
        "%2",
        "%1: f32[20,100] = transpose(%b, perm=(1, 0))",
        "%2: f32[30,100] = matmul(%a, %1)",
    )
    check(
        before,
        panels(before, 64),
        """
        %1: f32[20,100] = transpose(%b, perm=(1, 0))
        %2: f32[20,96] = slice(%1, shape=(20, 96), start=(0, 0), step=(1, 1))
        %3: f32[20,2,48] = reshape(%2, shape=(20, 2, 48))
        %4: f32[2,20,48] = transpose(%3, perm=(1, 0, 2))
        %5: f32[2,20,48] = copy(%4)
        %6: f32[20,4] = slice(%1, shape=(20, 4), start=(0, 96), step=(1, 1))
        %7: f32[20,4] = copy(%6)
        %8: f32[30,100] = product(%a, %5, %7, panels=(True, False), vector=64)
        """,
    )


def test_rows_that_lie_far_apart_are_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAR", 8 * 50)
    lines = ["%1: f64[{rows},50] = matmul(%a, %b)"]
    many, few = (
        panels(graph(f"%a: f64[{rows},20], %b: f64[20,50]", "%1", lines[0].format(rows=rows)), 64) for rows in (200, 9)
    )
    assert [node.op for node in many.nodes] == ["slice", "reshape", "transpose", "copy", "slice", "product"]
    assert [node.op for node in few.nodes] == ["product"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("i8", (30, 20, 60)), ("c16", (30, 20, 60)), ("f2", (30, 20, 60)), ("f8", (1, 20, 60)), ("f8", (30, 20, 1)), ("f8", (0, 20, 60)), ("f8", (30, 0, 60))],
)  # fmt: skip
def test_left_alone(one: str, other: tuple[int, int, int]) -> None:
    n, k, m = other
    before = nf.jit(lambda a, b: a @ b).trace(nf.spec(one, n, k), nf.spec(one, k, m)).graph
    assert panels(before, 64) is before


def test_an_argument_by_columns(products_by_kernels: None) -> None:
    """How arguments lie is known: a transposed one is read as the other one would be."""
    import numpy as np

    b = np.asfortranarray(np.ones((200, 300)))
    lowered = nf.jit(lambda a, b: a @ b.T).lower(np.ones((100, 300)), b, target="cpu")
    assert [kernel.code.count("product_tile") for kernel in lowered.kernels] == [2]
