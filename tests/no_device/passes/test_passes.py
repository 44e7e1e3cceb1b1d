"""Each pass on small graphs in their printed form: what comes out, and that it means the same."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler.graph import Graph
from numfuse.passes.cse import cse
from numfuse.passes.dead import dead
from numfuse.passes.expand import expand
from numfuse.passes.fold import fold
from numfuse.passes.simplify import simplify
from numfuse.passes.split import split


def graph(inputs: str, result: str, *lines: str) -> Graph:
    body = "\n".join(f"  {line}" for line in lines)
    return Graph.parse(f"graph f({inputs}) -> {result} {{\n{body}\n}}")


def meaning(graph: Graph) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    arguments = []
    for node in graph.inputs:
        drawn = rng.standard_normal(node.shape) * 5
        arguments.append((np.abs(drawn) if node.dtype.kind == "u" else drawn).astype(node.dtype))
    return list(graph.evaluate(*arguments))


def check(before: Graph, after: Graph, expected: str) -> None:
    """`after` prints as `expected`, is well formed, and computes what `before` does."""
    after.check()
    assert dead(after).as_text(locations=False).splitlines()[1:-1] == [
        "  " + line.strip() for line in expected.strip().splitlines()
    ]
    for got, value in zip(meaning(after), meaning(before), strict=True):
        assert (got.dtype, got.shape) == (value.dtype, value.shape)
        np.testing.assert_allclose(got, value, rtol=1e-6)


def test_fold() -> None:
    before = graph("%x: f32[3]", "%2", "%1: f32[] = exp(0.5:f32)", "%2: f32[3] = add(%x, %1)")
    check(before, fold(before), "%1: f32[3] = add(%x, 1.6487212:f32)")


def test_fold_leaves_large_arrays() -> None:
    before = graph("%x: f32[3]", "%1", "%1: f32[100000] = broadcast_to(0.5:f32, shape=(100000,))")
    assert fold(before).nodes[-1].op == "broadcast_to"


def test_dead_keeps_inputs() -> None:
    before = graph("%x: f32[3], %y: f32[3]", "%2", "%1: f32[3] = exp(%y)", "%2: f32[3] = tanh(%x)")
    after = dead(before)
    assert len(after.inputs) == 2 and [node.op for node in after.nodes] == ["tanh"]


def test_cse() -> None:
    before = graph(
        "%x: f32[3], %y: f32[3]",
        "%5",
        "%1: f32[3] = add(%x, %y)",
        "%2: f32[3] = add(%y, %x)",
        "%3: f32[3] = subtract(%x, %y)",
        "%4: f32[3] = subtract(%y, %x)",
        "%5: f32[3] = concatenate(%1, %2, %3, %4, axis=0)"
        if False
        else "%5: f32[12] = concatenate(%1, %2, %3, %4, axis=0)",
    )
    check(
        before,
        cse(before),
        """
        %1: f32[3] = add(%x, %y)
        %2: f32[3] = subtract(%x, %y)
        %3: f32[3] = subtract(%y, %x)
        %4: f32[12] = concatenate(%1, %1, %2, %3, axis=0)
        """,
    )


def test_cse_tells_params_apart() -> None:
    before = graph(
        "%x: f32[2,2]",
        "%3",
        "%1: f32[2] = sum(%x, axis=(0,))",
        "%2: f32[2] = sum(%x, axis=(1,))",
        "%3: f32[2] = add(%1, %2)",
    )
    assert len(cse(before).nodes) == 3


@pytest.mark.parametrize(
    ("line", "simple"),
    [
        ("%1: f32[3] = multiply(%x, 1.0:f32)", ""),
        ("%1: f32[3] = multiply(1.0:f32, %x)", ""),
        ("%1: f32[3] = add(%x, -0.0:f32)", ""),
        ("%1: f32[3] = add(%x, 0.0:f32)", "%1: f32[3] = add(%x, 0.0:f32)"),  # -0.0 + 0.0 is 0.0
        ("%1: f32[3] = subtract(%x, 0.0:f32)", ""),
        ("%1: f32[3] = divide(%x, 1.0:f32)", ""),
        ("%1: f32[3] = divide(%x, 4.0:f32)", "%1: f32[3] = multiply(%x, 0.25:f32)"),
        ("%1: f32[3] = divide(%x, 3.0:f32)", "%1: f32[3] = divide(%x, 3.0:f32)"),
        ("%1: f32[3] = power(%x, 2.0:f32)", "%1: f32[3] = square(%x)"),
        ("%1: f32[3] = power(%x, 3.0:f32)", "%1: f32[3] = square(%x)\n%2: f32[3] = multiply(%1, %x)"),
        (
            "%1: f32[3] = power(%x, 7.0:f32)",
            "%1: f32[3] = square(%x)\n%2: f32[3] = multiply(%1, %x)\n%3: f32[3] = square(%2)\n%4: f32[3] = multiply(%3, %x)",
        ),
        ("%1: f32[3] = power(%x, 9.0:f32)", "%1: f32[3] = power(%x, 9.0:f32)"),
        ("%1: f32[3] = power(%x, -1.0:f32)", "%1: f32[3] = reciprocal(%x)"),
        ("%1: f32[3] = power(%x, 2.5:f32)", "%1: f32[3] = power(%x, 2.5:f32)"),
        ("%1: f32[3] = maximum(%x, %x)", ""),
        ("%1: f32[3] = subtract(%x, %x)", "%1: f32[3] = subtract(%x, %x)"),  # inf - inf is nan
        ("%1: f32[3] = where(True:bool, %x, 1.0:f32)", ""),
        ("%1: f32[3] = astype(%x, dtype=f32)", ""),
        ("%1: f32[3] = slice(%x, shape=(3,), start=(0,), step=(1,))", ""),
        ("%1: f32[3] = reshape(%x, shape=(3,))", ""),
        ("%1: f32[3] = pad(%x, 0.0:f32, after=(0,), before=(0,))", ""),
    ],
)
def test_simplify_one(line: str, simple: str) -> None:
    before = graph("%x: f32[3]", "%1", line)
    after = simplify(before)
    check(before, after, simple)
    assert bool(simple) or after.outputs == after.inputs


@pytest.mark.parametrize(
    ("lines", "simple"),
    [
        (("%1: f32[4,3] = transpose(%x, perm=(1, 0))", "%2: f32[3,4] = transpose(%1, perm=(1, 0))"), ""),
        (("%1: f32[12] = reshape(%x, shape=(12,))", "%2: f32[3,4] = reshape(%1, shape=(3, 4))"), ""),
        (("%1: f32[3,4] = negative(%x)", "%2: f32[3,4] = negative(%1)"), ""),
        (("%1: f64[3,4] = astype(%x, dtype=f64)", "%2: f32[3,4] = astype(%1, dtype=f32)"), ""),
        (("%1: f32[3,4] = absolute(%x)", "%2: f32[3,4] = absolute(%1)"), "%1: f32[3,4] = absolute(%x)"),
        (
            (
                "%1: f32[2,4] = slice(%x, shape=(2, 4), start=(0, 3), step=(2, -1))",
                "%2: f32[2,2] = slice(%1, shape=(2, 2), start=(1, 1), step=(-1, 2))",
            ),
            "%1: f32[2,2] = slice(%x, shape=(2, 2), start=(2, 2), step=(-2, -2))",
        ),
        (
            ("%1: f32[12] = reshape(%x, shape=(12,))", "%2: f32[12] = exp(%1)"),
            "%1: f32[3,4] = exp(%x)\n%2: f32[12] = reshape(%1, shape=(12,))",
        ),
        (
            (
                "%1: f32[4,3] = transpose(%x, perm=(1, 0))",
                "%2: f32[4,1] = slice(%1, shape=(4, 1), start=(0, 0), step=(1, 1))",
                "%3: f32[4,3] = multiply(%1, %2)",
                "%4: f32[4,3] = add(%3, %1)",
            ),
            """%1: f32[4,3] = transpose(%x, perm=(1, 0))
            %2: f32[4,1] = slice(%1, shape=(4, 1), start=(0, 0), step=(1, 1))
            %3: f32[1,4] = reshape(%2, shape=(1, 4))
            %4: f32[3,4] = multiply(%x, %3)
            %5: f32[3,4] = add(%4, %x)
            %6: f32[4,3] = transpose(%5, perm=(1, 0))""",
        ),
        (
            ("%1: f32[3,4] = broadcast_to(2.0:f32, shape=(3, 4))", "%2: f32[3,4] = multiply(%x, %1)"),
            "%1: f32[3,4] = multiply(%x, 2.0:f32)",
        ),
        (
            (
                "%1: f32[1,4] = slice(%x, shape=(1, 4), start=(0, 0), step=(1, 1))",
                "%2: f32[3,4] = set_slice(%x, %1, start=(2, 0), step=(1, 1))",
                "%3: f32[1,4] = exp(%1)",
                "%2b: f32[3,4] = set_slice(%2, %3, start=(2, 0), step=(1, 1))",
            ),
            """%1: f32[1,4] = slice(%x, shape=(1, 4), start=(0, 0), step=(1, 1))
            %2: f32[1,4] = exp(%1)
            %3: f32[3,4] = set_slice(%x, %2, start=(2, 0), step=(1, 1))""",
        ),
        (("%1: f32[1,3,4] = reshape(%x, shape=(1, 3, 4))", "%2: f32[3,4] = sum(%1, axis=(0,))"), ""),
    ],
)
def test_simplify_several(lines: tuple[str, ...], simple: str) -> None:
    before = graph("%x: f32[3,4]", "%" + lines[-1].split(":")[0].strip("%"), *lines)
    check(before, simplify(before), simple)


def test_casts_that_lose_stay() -> None:
    before = graph("%x: f64[3]", "%2", "%1: f32[3] = astype(%x, dtype=f32)", "%2: f64[3] = astype(%1, dtype=f64)")
    assert len(simplify(before).nodes) == 2


def test_expand_argmax() -> None:
    before = graph("%x: f32[3,4]", "%1", "%1: i64[3] = argmax(%x, axis=(1,))")
    after = expand(before)
    check(
        before,
        after,
        """
        %1: f32[3] = max(%x, axis=(1,))
        %2: f32[3,1] = reshape(%1, shape=(3, 1))
        %3: bool[3,4] = equal(%x, %2)
        %4: bool[3,4] = isnan(%x)
        %5: bool[3,4] = logical_or(%3, %4)
        %6: i32[3,4] = iota(axis=1, dtype=i32, shape=(3, 4))
        %7: i32[3,4] = where(%5, %6, 4:i32)
        %8: i32[3] = min(%7, axis=(1,))
        %9: i64[3] = astype(%8, dtype=i64)
        """,
    )
    for values in ([1.0, np.nan, np.nan, 2.0], [-np.inf] * 4, [3.0, 3.0, 1.0, 3.0], [0.0, -0.0, 0.0, -1.0]):
        x = np.tile(np.array(values, "f4"), (3, 1))
        np.testing.assert_array_equal(after.evaluate(x)[0], before.evaluate(x)[0])


@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_expand_argmax_of_a_long_axis(op: str) -> None:
    """The first block that holds the best element is searched, and no other."""
    length = 20_001
    after = expand(graph(f"%x: f32[3,{length}]", "%1", f"%1: i64[3] = {op}(%x, axis=(1,))"))
    after.check()
    assert sum(node.op == "gather" for node in after.nodes) == 1
    for places, values in (
        ([(0, 0), (1, 7), (1, 9000), (2, length - 1)], (1e6, 1e6, 1e6, 1e6)),
        ([(0, 300), (0, 9), (1, 20), (1, 19_000), (2, 4)], (np.nan, np.inf, np.inf, np.nan, -np.inf)),
    ):
        x = np.random.default_rng(0).standard_normal((3, length)).astype("f4")
        x[tuple(zip(*places, strict=True))] = values
        for sign in (1, -1):
            np.testing.assert_array_equal(after.evaluate(sign * x)[0], getattr(np, op)(sign * x, axis=1))


def test_expand_fmax_reduce() -> None:
    for op, ufunc in (("fmax_reduce", np.fmax), ("fmin_reduce", np.fmin)):
        after = expand(graph("%x: f32[4,3]", "%1", f"%1: f32[4] = {op}(%x, axis=(1,))"))
        after.check()
        x = np.array([[1, np.nan, 2], [np.nan] * 3, [-np.inf, np.nan, -np.inf], [np.inf] * 3], "f4")
        np.testing.assert_array_equal(after.evaluate(x)[0], ufunc.reduce(x, axis=1))


def test_split() -> None:
    before = graph("%x: f32[2,20000,3]", "%1", "%1: f32[2] = sum(%x, axis=(1, 2))")
    check(
        before,
        split(before, few=8),
        """
        %1: f32[2,60000] = reshape(%x, shape=(2, 60000))
        %2: f32[2,4] = sum(%1, axis=(1,), block=16384)
        %3: f32[2] = sum(%2, axis=(1,))
        """,
    )
    assert split(before, few=2).nodes == before.nodes, "as many results as keep the device busy"


def test_split_of_columns() -> None:
    """Where columns are few, rows are cut into blocks; very few columns are taken together until they are as many as a warp's threads."""
    before = graph("%x: f32[2,3000,40]", "%1", "%1: f32[2,40] = max(%x, axis=(1,))")
    check(
        before,
        split(before, few=8, few_columns=1000),
        """
        %1: f32[2,8,40] = max(%x, axis=(1,), block=384)
        %2: f32[2,40] = max(%1, axis=(1,))
        """,
    )
    assert split(before, few=8).nodes == before.nodes, "the target sums columns well enough"
    assert split(before, few=8, few_columns=80).nodes == before.nodes, "as many columns as keep the device busy"
    few = graph("%x: i64[80,100,4]", "%1", "%1: i64[4] = sum(%x, axis=(0, 1))")
    check(
        few,
        split(few, few=8, few_columns=1000),
        """
        %1: i64[1,1000,32] = reshape(%x, shape=(1, 1000, 32))
        %2: i64[1,3,32] = sum(%1, axis=(1,), block=384)
        %3: i64[1,24,4] = reshape(%2, shape=(1, 24, 4))
        %4: i64[1,4] = sum(%3, axis=(1,))
        %5: i64[4] = reshape(%4, shape=(4,))
        """,
    )


def test_split_of_rows_that_read_a_number_each() -> None:
    """Rows taken together would have to look for their number at each element."""
    before = graph(
        "%x: f64[8000,4], %v: f64[8000,1]",
        "%2",
        "%1: f64[8000,4] = multiply(%x, %v)",
        "%2: f64[4] = sum(%1, axis=(0,))",
    )
    together = split(before, few=8, few_columns=1000)
    assert "f64[1,1000,32]" in str(together)
    apart = split(before, few=8, few_columns=1000, repeats=False)
    assert "reshape(%1, shape=(1, 8000, 4))" in str(apart)
    values = [np.arange(32000.0).reshape(8000, 4), np.arange(8000.0)[:, None]]
    for after in (together, apart):
        np.testing.assert_allclose(after.evaluate(*values)[0], (values[0] * values[1]).sum(0))
