"""Random numbers in CUDA kernels: the same as on the CPU, and as the graph has them."""

from __future__ import annotations

import numpy as np
import pytest

import numfuse as nf
from tests.draws import DISTRIBUTIONS

pytestmark = pytest.mark.simulator


@pytest.mark.parametrize("shape", [(2, 33, 4), ()])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_same_as_the_graph(name: str, shape: tuple[int, ...]) -> None:
    case = DISTRIBUTIONS[name]
    function = nf.jit(lambda r, x: case.call(r, shape) + x, target="cudasim")
    x = np.zeros(shape[-1:], case.dtype)
    result = function(np.random.default_rng(6), x)
    key = np.random.default_rng(6).integers(0, 2**64 - 1, dtype="u8", endpoint=True)
    traced = function.trace(np.random.default_rng(6), x)
    (expected,) = traced.graph.evaluate(*[np.asarray(key) if feed.key is not None else x for feed in traced.feeds])
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=0 if case.dtype[0] in "iu?" else 1e-6)


def test_sums_of_draws() -> None:
    function = nf.jit(lambda r: (r.random((40, 60)).sum(1), r.standard_normal((60, 40)).max(0)), target="cudasim")
    sums, most = function(np.random.default_rng(6))
    x, y = nf.jit(lambda r: (r.random((40, 60)), r.standard_normal((60, 40))), target="cudasim")(
        np.random.default_rng(6)
    )
    np.testing.assert_allclose(sums, x.sum(1), rtol=1e-12)
    np.testing.assert_allclose(most, y.max(0), rtol=1e-12)
