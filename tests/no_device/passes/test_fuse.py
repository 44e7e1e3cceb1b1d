"""Fusion: what becomes one kernel and what does not, with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler.pipeline import PASSES, Trail, optimize
from numfuse.compiler.targets import CPU, CUDA
from numfuse.passes.fuse import Fuser

import numfuse as nf
from tests.functions import CASES


def fused(function, *specs, target=CPU):
    """The steps that the function becomes: the operators of each fused node, or the library call."""
    trail = Trail(check=True)
    graph = optimize(nf.jit(function).trace(*specs).graph, target, trail=trail)
    return [
        " ".join(inner.op for inner in node.params["body"].nodes if inner.op != "constant")
        if node.op == "fused"
        else node.op
        for node in graph.nodes
        if node.op not in ("get", "constant")
    ]


def reasons(function, *specs):
    graph = optimize(nf.jit(function).trace(*specs).graph, CPU, last="tidy")
    fuser = Fuser(graph, CPU.machine)
    fuser.run()
    return [refusal.reason for refusal in fuser.refusals]


def test_a_kernel_never_feeds_a_product_that_it_reads(rng):
    """What a product reads through a view is stored before it, in a kernel of its own."""

    def gradients(a, b):
        x, r = np.zeros_like(b), b
        p, before = r, r @ r
        for _ in range(3):
            ap = p @ a
            step = before / (p @ ap)
            x, r = x + step * p, r - step * ap
            now = r @ r
            p, before = r + now / before * p, now
        return x

    matrix = rng.random((400, 400))
    arguments = matrix @ matrix.T + 400 * np.eye(400), rng.random(400)
    steps = fused(gradients, *arguments)
    assert steps.count("matmul") == 3
    assert all(step in ("matmul", "reshape", "transpose") or " " in step for step in steps), "all else is in kernels"
    np.testing.assert_allclose(nf.jit(gradients)(*arguments), gradients(*arguments), rtol=1e-9, atol=1e-12)


PRODUCTS = ("matmul", "linear")
VECTOR, MATRIX, TALL = nf.spec("f4", 1000), nf.spec("f4", 64, 100), nf.spec("f4", 200_000, 40_000)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", [CPU, CUDA], ids=["cpu", "cuda"])
def test_promised_kernels(name, target, rng):
    case = CASES[name]
    arguments = [nf.spec(a.dtype, a.shape) for a in case.arguments(case.full_size, rng)]
    steps = fused(case.function, *arguments, target=target)
    if target is CPU:  # where the two stages of a split reduction are one kernel
        assert len(nf.jit(case.function).lower(*arguments, target="cpu").kernels) <= case.cpu_kernels
    else:
        assert len([step for step in steps if step not in PRODUCTS]) <= case.cuda_kernels
    assert len([step for step in steps if step in PRODUCTS]) == case.matmuls


def test_siblings_become_one_kernel_with_several_outputs():
    assert len(fused(lambda x: (x.sum(1), x.max(1), x.min(1)), MATRIX)) == 1
    assert len(fused(lambda x: (np.sin(x), np.cos(x)), VECTOR)) == 1
    assert len(fused(lambda x: (lambda y: (y, y * 2))(np.exp(x)), VECTOR)) == 1


def test_different_rows_stay_apart():
    assert len(fused(lambda x: (x.sum(0), x.sum(1)), MATRIX)) == 2


def test_an_expensive_value_is_not_computed_nine_times():
    def blur(x):
        y = np.exp(x)
        return sum(y[i : 62 + i, j : 98 + j] for i in range(3) for j in range(3))

    assert fused(blur, MATRIX) == ["exp", fused(blur, MATRIX)[1]]
    assert any("needed at 9 places" in reason for reason in reasons(blur, MATRIX))


def test_a_cheap_value_is():
    assert len(fused(lambda x: (x + 1)[1:] + (x + 1)[:-1], VECTOR)) == 1


def test_rows_that_leave_the_cache_are_read_again():
    steps = fused(lambda x: (x - x.mean(0)) / x.std(0), TALL)
    assert len(steps) == 2 and "sqrt" in steps[0] and "divide" in steps[1]
    assert any("do not stay in the cache" in reason for reason in reasons(lambda x: (x - x.mean(0)) / x.std(0), TALL))


def test_a_bias_that_is_expensive_is_computed_once():
    assert len(fused(lambda x, b: x * np.exp(b), MATRIX, nf.spec("f4", 100))) == 2
    assert len(fused(lambda x, b: x * (b + 1), MATRIX, nf.spec("f4", 100))) == 1


def test_no_cycle_between_kernels():
    # a feeds the product and what follows it: the two elementwise parts must not become one kernel
    def f(x, w):
        a = np.exp(x)
        return a * (a @ w)

    assert len(fused(f, nf.spec("f4", 64, 64), nf.spec("f4", 64, 64))) == 3


def test_transposes_of_products_are_views():
    steps = fused(lambda x, w: (x.T @ w.T).T + 1, nf.spec("f4", 50, 40), nf.spec("f4", 60, 50))
    assert steps == ["transpose", "transpose", "matmul", "add copy"]


def test_long_chains_are_cut_into_equal_kernels():
    def chain(x):
        for _ in range(1000):
            x = x * 0.5 + 1
        return x

    steps = fused(chain, VECTOR)
    assert len(steps) > 5 and len(set(steps)) == 2


def test_steps_of_a_simulation_share_their_kernel():
    def steps(x):
        for _ in range(20):
            y = x.copy()
            y[1:-1] = 0.5 * (x[2:] + x[:-2])
            x = y
        return x

    lowered = nf.jit(steps).lower(nf.spec("f8", 1000), target="cpu")
    assert len(lowered.kernels) <= 20 and len({kernel.code for kernel in lowered.kernels}) <= 3


def test_what_kernels_cannot_hold_is_a_library_call():
    assert fused(lambda x: np.sort(x) * 2, nf.spec("f4", 10)) == ["sort", "multiply"]


def test_sums_over_the_steps_of_a_loop_do_not_keep_the_arrays_of_all_steps():
    def steps(x, count):
        total, p = np.zeros_like(x), x
        for _ in range(count):
            p = p / (p * p).sum()
            total += p
        return total

    x = nf.spec("f8", 100_000)
    peaks = [nf.jit(steps).lower(x, count, target="cpu").memory_analysis()["peak"] for count in (20, 40)]
    assert peaks[0] == peaks[1] <= 12 * 8 * 100_000
    assert "large intermediate results already" in " ".join(reasons(steps, x, 20))


def test_every_pass_keeps_the_meaning(rng):
    for name, case in CASES.items():
        arguments = case.arguments(33, rng)
        graph = nf.jit(case.function).trace(*arguments).graph
        wanted = graph.evaluate(*arguments)
        for target in (CPU, CUDA):
            after = graph
            for pass_name, run in PASSES:
                after = run(after, target, {}).check()
                for got, value in zip(after.evaluate(*arguments), wanted, strict=True):
                    np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5, err_msg=f"{name} {pass_name}")


def test_sums_of_rows_that_lie_across_what_is_written() -> None:
    """The sum has a kernel of its own: with it, the other one would go down the columns of a large array."""
    specs = nf.spec("f4", 100, 20), nf.spec("f4", 80, 20)
    lowered = nf.jit(lambda x, y: np.exp(x @ y.T - (y * y).sum(1))).lower(*specs, target="cpu")
    assert [kernel.extents for kernel in lowered.program.kernels] == [[{"count": 80}], [{"count": 100}]]
    assert "its rows are columns of what the kernel writes" in lowered.explain()
    along = nf.jit(lambda x, y: np.exp(x @ y.T - (x * x).sum(1, keepdims=True))).lower(*specs, target="cpu")
    assert len(along.kernels) == 1


def test_what_a_layer_gives_is_not_computed_again_for_each_sum_of_the_next():
    def steps(w, h):
        for _ in range(3):
            h = np.tanh(w @ h)
        return h

    lowered = nf.jit(steps).lower(nf.spec("f8", 300, 300), nf.spec("f8", 300), target="cpu")
    for kernel in lowered.kernels:
        before, _, _ = kernel.code.partition("tanh(")
        assert "fold_add" in before, "tanh stands behind the sum"
