"""The functions that numfuse promises to do well, in plain NumPy, with arguments for any size.

Each entry: the function, a maker of arguments from a size and a seed, and how many kernels it may become on the CPU and on CUDA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def saxpy(a, x, y, z):
    return a * x + y * z - x


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def normal_cdf(x):
    """Abramowitz and Stegun 26.2.17, absolute error below 7.5e-8."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = 0.3989422804014327 * np.exp(-0.5 * x * x) * poly
    return np.where(x >= 0, 1 - tail, tail)


def black_scholes(spot, strike, time, rate=0.02, volatility=0.3):
    root = volatility * np.sqrt(time)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * time) / root
    d2 = d1 - root
    discounted = strike * np.exp(-rate * time)
    call = spot * normal_cdf(d1) - discounted * normal_cdf(d2)
    put = discounted * normal_cdf(-d2) - spot * normal_cdf(-d1)
    return call, put


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, gain, bias):
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def squared_distance(x, y):
    return ((x - y) ** 2).sum()


def standardise(x):
    return (x - x.mean(0)) / x.std(0)


def mlp(x, w1, b1, w2, b2, w3, b3):
    h = np.maximum(x @ w1 + b1, 0)
    h = np.maximum(h @ w2 + b2, 0)
    return softmax(h @ w3 + b3)


def stencil(x):
    return 0.25 * (x[1:-1, :-2] + x[1:-1, 2:] + x[:-2, 1:-1] + x[2:, 1:-1]) - x[1:-1, 1:-1]


def nbody(position, mass):
    apart = position[np.newaxis, :, :] - position[:, np.newaxis, :]
    distance2 = (apart**2).sum(-1) + 0.01
    return (apart * (mass * distance2**-1.5)[:, :, np.newaxis]).sum(1)


@dataclass(frozen=True)
class Case:
    function: Callable[..., Any]
    arguments: Callable[[int, np.random.Generator], tuple[np.ndarray, ...]]
    cpu_kernels: int = 1
    cuda_kernels: int = 1
    matmuls: int = 0
    full_size: int = 1_000_000
    rows: bool = False
    """Whether the size is that of a row: then rows of 1 and of 1025 are interesting."""


def vectors(
    count: int, dtype: str = "f4", low: float = 0.1
) -> Callable[[int, np.random.Generator], tuple[np.ndarray, ...]]:
    return lambda n, rng: tuple((rng.random(n) + low).astype(dtype) for _ in range(count))


def matrix(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((max(5, min(4096, 4_000_000 // max(n, 1))) if n > 2000 else 5, n)).astype("f4")


def square(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    side = int(n**0.5) + 2
    return (rng.standard_normal((side, side)).astype("f4"),)


def layers(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    width = 512 if n > 2000 else 16
    batch = max(n // 4000, 1) if n > 2000 else n
    sizes = [(width, width), (width,), (width, width), (width,), (width, 10), (10,)]
    return rng.standard_normal((batch, width)).astype("f4"), *[
        (rng.standard_normal(s) / 20).astype("f4") for s in sizes
    ]


def bodies(n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    count = int(n**0.5) + 1 if n else 0
    return rng.standard_normal((count, 3)), rng.random(count)


CASES: dict[str, Case] = {
    "saxpy": Case(saxpy, vectors(4)),
    "gelu": Case(gelu, vectors(1)),
    "black_scholes": Case(black_scholes, vectors(3, "f8")),
    "softmax": Case(softmax, lambda n, rng: (matrix(n, rng),), full_size=4096, rows=True),
    "layer_norm": Case(
        layer_norm,
        lambda n, rng: (matrix(n, rng), rng.random(n).astype("f4"), rng.random(n).astype("f4")),
        full_size=4096,
        rows=True,
    ),
    "squared_distance": Case(squared_distance, vectors(2), cuda_kernels=2),
    "standardise": Case(
        standardise, lambda n, rng: (rng.standard_normal((n, 64)).astype("f4"),), 2, 5, full_size=65536
    ),
    "mlp": Case(mlp, layers, 3, 3, matmuls=3),
    "stencil": Case(stencil, square),
    "nbody": Case(nbody, bodies),
}


def close(result: Any, expected: Any) -> None:
    """Asserts equality up to rounding: float32 to 1e-5, float64 to 1e-12 of the largest value near, integers and bools exactly."""
    if isinstance(expected, (tuple, list)):
        assert type(result) is type(expected) and len(result) == len(expected)
        for one, other in zip(result, expected, strict=True):
            close(one, other)
        return
    assert type(result) is type(expected), (type(result), type(expected))
    assert np.shape(result) == np.shape(expected), (np.shape(result), np.shape(expected))
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.dtype == expected.dtype, (result.dtype, expected.dtype)
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(result, expected)
        return
    rtol = {2: 2e-3, 4: 1e-5, 8: 1e-12}[expected.dtype.itemsize // (2 if expected.dtype.kind == "c" else 1)]
    finite = np.abs(expected[np.isfinite(expected)])
    np.testing.assert_allclose(result, expected, rtol=rtol, atol=rtol * (float(finite.max()) if finite.size else 0))
