"""Kernels that differ in whole numbers alone are one kernel, and mean what each of them meant."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from numfuse.compiler.lower import alike

import numfuse as nf
from tests.plain_python import run_program
from tests.programs import PROGRAMS
from tests.programs.program import Program


def cholesky(a):
    for i in range(len(a)):
        a[i, i] -= a[i, :i] @ a[i, :i]
        a[i, i] = np.sqrt(a[i, i])
        a[i + 1 :, i] -= a[i + 1 :, :i] @ a[i, :i]
        a[i + 1 :, i] /= a[i, i]
    return np.tril(a)


def test_ever_shorter_slices() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((40, 40))
    a = a @ a.T + 40 * np.eye(40)
    compiled = nf.jit(cholesky).lower(a, target="cpu").compile()
    kernels = {kernel.name for kernel in compiled.kernels}
    assert len(compiled.kernels) > 70 and len(kernels) < 40
    wanted = np.linalg.cholesky(a)
    np.testing.assert_allclose(compiled(a.copy()), wanted, rtol=1e-9, atol=1e-12)


def test_few_stay_as_they_are() -> None:
    def shorter(x):
        return [x[k:].sum() * 2 for k in range(20, 20 + alike.MANY - 1)]

    text = str(nf.jit(shorter).lower(np.ones(2000), target="cpu"))
    assert "numbers" not in text


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_meaning(program: Program) -> None:
    """With all kernels shared that can be."""
    given = program.arguments(program.small)
    with mock.patch.object(alike, "MANY", 2):
        traced = nf.jit(program.function).trace(*given)
        lowered = traced.lower(target="cpu").program
    inputs = [feed.captured if feed.leaf is None else np.array(given[feed.leaf]) for feed in traced.feeds]
    wanted = traced.graph.evaluate(*[array.copy() for array in inputs])
    for result, value in zip(run_program(lowered, inputs), wanted, strict=True):
        np.testing.assert_allclose(result, value, rtol=max(program.rtol, 1e-7), atol=1e-12)


def test_numbers_that_must_be_known_stay_apart() -> None:
    def softmaxes(x):
        made = []
        for length in range(60, 60 + 2 * alike.MANY):
            part = x[:, :length]
            e = np.exp(part - part.max(1, keepdims=True))
            made.append(e / e.sum(1, keepdims=True))
        return made

    lowered = nf.jit(softmaxes).lower(np.ones((300, 100)), target="cpu")
    local = [kernel for kernel in lowered.kernels if "local(" in kernel.code]
    assert len({kernel.name for kernel in local}) == len(local)
