"""The promised functions on the CPU: right at full size and at odd sizes, in as few kernels as promised."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.runtime.cpu.vectors import product_vector_bytes

import numfuse as nf
from tests.functions import CASES, close

SIZES = (1, 2, 31, 33, 1000)


@pytest.mark.parametrize("name", CASES)
def test_right_at_full_size_in_few_kernels(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    arguments = case.arguments(case.full_size, rng)
    function = nf.jit(case.function, target="cpu")
    close(function(*arguments), case.function(*arguments))
    lowered = function.lower(*arguments, target="cpu")
    products = case.matmuls if product_vector_bytes() else 0  # by kernels of their own, or by BLAS
    assert len(lowered.kernels) <= case.cpu_kernels + products, lowered.explain()
    assert lowered.library_calls == ["matmul"] * (case.matmuls - products)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_right_at_odd_sizes(name: str, size: int, rng: np.random.Generator) -> None:
    case = CASES[name]
    arguments = case.arguments(size, rng)
    close(nf.jit(case.function, target="cpu")(*arguments), case.function(*arguments))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rows])
def test_right_for_rows_of_1025(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    arguments = case.arguments(1025, rng)
    close(nf.jit(case.function, target="cpu")(*arguments), case.function(*arguments))


@pytest.mark.parametrize("name", ["saxpy", "gelu", "black_scholes", "squared_distance"])
def test_empty(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    arguments = case.arguments(0, rng)
    close(nf.jit(case.function, target="cpu")(*arguments), case.function(*arguments))


def test_no_square_of_bodies_in_memory(rng: np.random.Generator) -> None:
    position, mass = rng.standard_normal((500, 3)), rng.random(500)
    memory = nf.jit(CASES["nbody"].function).lower(position, mass, target="cpu").compile().memory_analysis()
    assert memory["workspace"] < 500 * 500


def test_a_new_batch_size_costs_no_compilation(rng: np.random.Generator) -> None:
    code = {
        tuple(
            kernel.code
            for kernel in nf.jit(CASES["softmax"].function).lower(nf.spec("f4", rows, 256), target="cpu").kernels
        )
        for rows in (17, 64, 4096)
    }
    assert len(code) == 1
