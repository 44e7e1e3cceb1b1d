"""Matrix products that become sums of products: which, what they print as, and that they mean what NumPy's do."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler.lower.program import ViewStep
from numfuse.passes.products import products

import numfuse as nf
from tests.no_device.passes.test_passes import check, graph, meaning


def ops(function, *specs: nf.Spec) -> list[str]:
    """The steps of a function for the CPU: library calls by name, kernels as what they compute."""
    lowered = nf.jit(function).trace(*specs).lower(target="cpu")
    return ["kernel"] * len(lowered.kernels) + lowered.library_calls


def test_small_products_are_written_out() -> None:
    before = graph("%x: f64[50,3,2], %y: f64[50,2,4]", "%1", "%1: f64[50,3,4] = matmul(%x, %y)")
    check(
        before,
        products(before),
        """
        %1: f64[50,3,1] = slice(%x, shape=(50, 3, 1), start=(0, 0, 0), step=(1, 1, 1))
        %2: f64[50,1,4] = slice(%y, shape=(50, 1, 4), start=(0, 0, 0), step=(1, 1, 1))
        %3: f64[50,3,4] = multiply(%1, %2)
        %4: f64[50,3,4] = add(0.0:f64, %3)
        %5: f64[50,3,1] = slice(%x, shape=(50, 3, 1), start=(0, 0, 1), step=(1, 1, 1))
        %6: f64[50,1,4] = slice(%y, shape=(50, 1, 4), start=(0, 1, 0), step=(1, 1, 1))
        %7: f64[50,3,4] = multiply(%5, %6)
        %8: f64[50,3,4] = add(%4, %7)
        """,
    )


def test_products_that_are_sums_in_a_kernel() -> None:
    before = graph("%x: f64[30,20], %y: f64[20,10]", "%1", "%1: f64[30,10] = matmul(%x, %y)")
    check(
        before,
        products(before),
        """
        %1: f64[10,20] = transpose(%y, perm=(1, 0))
        %2: f64[30,1,20] = reshape(%x, shape=(30, 1, 20))
        %3: f64[1,10,20] = reshape(%1, shape=(1, 10, 20))
        %4: f64[30,10,20] = multiply(%2, %3)
        %5: f64[30,10] = sum(%4, axis=(2,))
        """,
    )
    for x, y, dtype in (
        ((100, 64, 4), (100, 4, 2), "f8"),
        ((300, 200), (200, 300), "i8"),
        ((8, 30, 20), (20, 30), "u1"),
    ):
        assert ops(lambda a, b: a @ b + 1, nf.spec(dtype, *x), nf.spec(dtype, *y)) == ["kernel"]


def test_float16_is_summed_in_float32() -> None:
    before = graph("%x: f16[30,20], %y: f16[20,40]", "%1", "%1: f16[30,40] = matmul(%x, %y)")
    check(
        before,
        products(before, 1 << 10, of_half=False),
        """
        %1: f32[30,20] = astype(%x, dtype=f32)
        %2: f32[20,40] = astype(%y, dtype=f32)
        %3: f32[30,40] = matmul(%1, %2)
        %4: f16[30,40] = astype(%3, dtype=f16)
        """,
    )


def test_many_matrices_times_one_are_one_product() -> None:
    before = graph("%x: f64[50,30,20], %y: f64[20,40]", "%1", "%1: f64[50,30,40] = matmul(%x, %y)")
    check(
        before,
        products(before),
        """
        %1: f64[1500,20] = reshape(%x, shape=(1500, 20))
        %2: f64[1500,40] = matmul(%1, %y)
        %3: f64[50,30,40] = reshape(%2, shape=(50, 30, 40))
        """,
    )
    assert ops(lambda x, y: x[:, ::2] @ y, nf.spec("f8", 50, 30, 20), nf.spec("f8", 20, 40)) == ["matmul"]
    assert ops(lambda x, y: x[:, :1] @ y, nf.spec("f8", 50, 1, 20), nf.spec("f8", 20, 40)) == ["matmul"]
    assert ops(lambda x, y: x[:, :1] @ y, nf.spec("f8", 8, 1, 20), nf.spec("f8", 20, 24)) == ["kernel"]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((100, 9, 9), (100, 9, 9)),
        ((100, 65, 4), (100, 4, 2)),
        ((40, 40), (40, 40)),
        ((1, 400), (400, 400)),
        ((4000, 3), (3, 3)),
    ],
)
def test_what_blas_does_well_stays(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    stays = [f"{n}" for n in np.matmul(np.empty(x), np.empty(y)).shape]
    text = f"%1: f64[{','.join(stays)}] = matmul(%x, %y)"
    before = graph(f"%x: f64[{','.join(map(str, x))}], %y: f64[{','.join(map(str, y))}]", "%1", text)
    assert products(before) is before


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "u8", "?"])
@pytest.mark.parametrize(
    ("x", "y"), [((40, 3, 3), (40, 3, 3)), ((40, 2, 4), (4, 3)), ((4, 1, 2, 1), (9, 1, 5)), ((33, 1, 8), (33, 8, 1)), ((32, 2, 0), (0, 2)),
                  ((7, 20), (20, 6)), ((3, 4, 30), (3, 30, 2)), ((2, 3, 7, 5), (5, 9)), ((2, 0, 9), (9, 3)), ((20, 30, 25), (25, 40))]
)  # fmt: skip
def test_values(dtype: str, x: tuple[int, ...], y: tuple[int, ...], rng: np.random.Generator) -> None:
    left, right = [(rng.standard_normal(shape) * 40).astype(dtype) for shape in (x, y)]
    if dtype in ("c8", "c16"):
        left = left * np.asarray(1 + 2j, dtype)
    traced = nf.jit(lambda x, y: x @ y).trace(left, right)
    (result,) = products(traced.graph).check().evaluate(left, right)
    expected = left @ right
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    if np.issubdtype(expected.dtype, np.inexact):
        scale = np.abs(left).astype(abs(left).dtype) @ np.abs(right)
        assert (np.abs(result - expected) <= 8 * np.finfo(dtype).eps * scale).all()
        assert not (np.signbit(result.real) & (result == 0)).any()
    else:
        np.testing.assert_array_equal(result, expected)


def test_products_of_negative_zeros_are_zero() -> None:
    x = -np.zeros((40, 3, 3))
    (result,) = products(nf.jit(lambda x: x @ x[0] * 1.0).trace(x).graph).evaluate(x)
    np.testing.assert_array_equal(np.signbit(result), np.signbit(x @ x[0]))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda r, p: np.einsum("bij,bj->bi", r, p), [(1000, 3, 3), (1000, 3)]),
        (lambda r, p: np.matvec(r, p) if hasattr(np, "matvec") else (r @ p[..., None])[..., 0], [(3, 3), (1000, 3)]),
        (lambda a, b: np.swapaxes(a, 1, 2) @ b, [(1000, 4, 4), (1000, 4, 4)]),
        (lambda p, r, t: p @ r.T + t, [(1000, 3), (3, 3), (3,)]),
        (lambda p, m: m @ (p - 1), [(4, 1000), (3, 4)]),
        (lambda a, u, v: a - u @ v.T, [(100, 80), (100, 1), (80, 1)]),
        (
            lambda q, x, b: np.sqrt(np.sum(np.tanh(q @ x[..., None] + b) ** 2, axis=1)),
            [(1000, 3, 3), (1000, 3), (3, 1)],
        ),
        (lambda r, s, p: (r @ s) @ (p / 2), [(1000, 3, 3), (1000, 3, 3), (1000, 3, 1)]),
    ],
)
def test_they_fuse(function, shapes: list[tuple[int, ...]]) -> None:
    assert set(ops(function, *[nf.spec("f4", *shape) for shape in shapes])) == {"kernel"}


@pytest.mark.parametrize(
    ("function", "shapes", "kernels"),
    [
        (lambda x, y: x.T @ y, [(500, 70), (500, 60)], 0),
        (lambda x, y: x @ y.T, [(70, 500), (60, 500)], 0),
        (lambda x, y: np.swapaxes(x, 1, 2) @ y, [(3, 90, 20), (3, 90, 80)], 0),
        (lambda x, y: np.einsum("ij,kj->ik", x, y), [(70, 500), (60, 500)], 0),
        (lambda x, y: np.einsum("bqhd,bkhd->bhqk", x, y), [(2, 19, 3, 90), (2, 80, 3, 90)], 0),
        (lambda x, y: np.tensordot(x, y, ((0,), (0,))), [(500, 70), (500, 60)], 0),
        (lambda x, y: (x * 2).T @ y, [(500, 70), (500, 60)], 1),
        (lambda x, y: (x.T + x.T[:, :1]) @ y, [(500, 70), (500, 60)], 1),
        (lambda x, y: (x.T * y[:, 0]) @ y, [(500, 70), (500, 60)], 1),
        (lambda x, v: (0.5 * x.T) @ v, [(3000, 70), (3000,)], 1),
        (lambda x, v: v @ np.tanh(x), [(3000, 70), (3000,)], 1),
    ],
)
def test_transposed_operands_are_views(function, shapes: list[tuple[int, ...]], kernels: int) -> None:
    """What is computed for them keeps the order of what it is computed from."""
    for target, arch in (("cpu", None), ("cuda", "sm_90")):
        lowered = nf.jit(function).trace(*[nf.spec("f4", *shape) for shape in shapes]).lower(target=target, arch=arch)
        assert lowered.library_calls == ["matmul"] and len(lowered.kernels) == kernels
        views = [step.node for step in lowered.program.steps if isinstance(step, ViewStep)]
        assert all(
            node.op == "transpose" or (node.op == "reshape" and 1 in node.shape + node.inputs[0].shape)
            for node in views
        )
        made = {kernel.node.params["body"].outputs[0].shape for kernel in lowered.program.kernels}
        assert made <= {shapes[0]}


@pytest.mark.parametrize(
    "matrix",
    [
        "%m: f64[400,400] = exp(%x)",  # computed for it alone
        "%m: f64[300,400] = slice(%x, shape=(300, 400), start=(0, 0), step=(1, 1))",  # small enough for the cache
        "%m: i32[400,400] = astype(%x, dtype=i32)",  # of integers
    ],
)
def test_a_matrix_and_a_vector(matrix: str) -> None:
    dtype, rows = ("i32" if "i32" in matrix else "f64"), (300 if "300" in matrix else 400)
    vector, product = f"%w: {dtype}[400,1] = astype(%v, dtype={dtype})", f"%p: {dtype}[{rows},1] = matmul(%m, %w)"
    before = graph("%x: f64[400,400], %v: f64[400,1]", "%p", matrix, vector, product)
    after = products(before)
    assert "matmul" not in {node.op for node in after.nodes}
    np.testing.assert_allclose(meaning(after)[0], meaning(before)[0])


def test_a_vector_and_rows_of_a_matrix() -> None:
    """Columns that are many or long are summed by BLAS, as they lie."""
    for rows, columns, is_blas in (
        (30, 50, False),
        (30, 2000, False),
        (30, 8000, True),
        (2000, 30, True),
        (250, 250, False),
    ):
        before = graph(f"%x: f64[1,{rows}], %y: f64[{rows},{columns}]", "%1", f"%1: f64[1,{columns}] = matmul(%x, %y)")
        assert ("matmul" in {node.op for node in products(before).nodes}) == is_blas
