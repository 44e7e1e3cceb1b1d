"""Loops that write one row or column at a time: implicit diffusion, Gauss-Seidel, a moving average."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.programs.program import Program


def adi(u, steps=3):
    """Alternating directions, as in PolyBench: sweeps by columns and rows of work arrays."""
    n = u.shape[0]
    v, p, q = np.empty(u.shape), np.empty(u.shape), np.empty(u.shape)
    mul1, mul2 = 2.0 * n * n / steps, 1.0 * n * n / steps
    a = -mul1 / 2
    b = 1 + mul1
    d = -mul2 / 2
    e = 1 + mul2
    for _ in range(steps):
        v[0, 1:-1] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = v[0, 1:-1]
        for j in range(1, n - 1):
            p[1:-1, j] = -a / (a * p[1:-1, j - 1] + b)
            q[1:-1, j] = (-d * u[j, :-2] + (1.0 + 2.0 * d) * u[j, 1:-1] - d * u[j, 2:] - a * q[1:-1, j - 1]) / (
                a * p[1:-1, j - 1] + b
            )
        v[n - 1, 1:-1] = 1.0
        for j in range(n - 2, 0, -1):
            v[j, 1:-1] = p[1:-1, j] * v[j + 1, 1:-1] + q[1:-1, j]
        u[1:-1, 0] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = u[1:-1, 0]
        for j in range(1, n - 1):
            p[1:-1, j] = -d / (d * p[1:-1, j - 1] + e)
            q[1:-1, j] = (-a * v[:-2, j] + (1.0 + 2.0 * a) * v[1:-1, j] - a * v[2:, j] - d * q[1:-1, j - 1]) / (
                d * p[1:-1, j - 1] + e
            )
        u[1:-1, n - 1] = 1.0
        for j in range(n - 2, 0, -1):
            u[1:-1, j] = p[1:-1, j] * u[1:-1, j + 1] + q[1:-1, j]
    return u


def thomas(lower, main, upper, right):
    """Tridiagonal systems side by side, by rows."""
    for i in range(1, len(main)):
        factor = lower[i - 1] / main[i - 1]
        main[i] -= factor * upper[i - 1]
        right[i] -= factor * right[i - 1]
    x = np.empty_like(right)
    x[-1] = right[-1] / main[-1]
    for i in range(len(main) - 2, -1, -1):
        x[i] = (right[i] - upper[i] * x[i + 1]) / main[i]
    return x


def gauss_seidel(a, sweeps=3):
    """As in PolyBench, but for the division within a row."""
    for _ in range(sweeps):
        for i in range(1, a.shape[0] - 1):
            a[i, 1:-1] += (
                a[i - 1, :-2] + a[i - 1, 1:-1] + a[i - 1, 2:] + a[i, 2:] + a[i + 1, :-2] + a[i + 1, 1:-1] + a[i + 1, 2:]
            )
            a[i, 1:-1] /= 8.0
    return a


def red_black(u, f, sweeps=20):
    """Points of a line are relaxed, every other one first."""
    for _ in range(sweeps):
        u[1:-1:2] = 0.5 * (u[:-2:2] + u[2::2] - f[1:-1:2])
        u[2:-1:2] = 0.5 * (u[1:-2:2] + u[3::2] - f[2:-1:2])
    return u


def moving_average(x, alpha):
    y = np.empty_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = alpha * x[i] + (1 - alpha) * y[i - 1]
    return y


def _tridiagonal(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    lower, upper, right = (rng.random(size) for _ in range(3))
    return lower, 4 + rng.random(size), upper, right


SWEEPS = (
    Program("ADI", adi, lambda rng, size: (rng.random(size),), (11, 11), (100, 100), 26),
    Program("tridiagonal systems by rows", thomas, _tridiagonal, (7, 9), (38, 5000), 10),
    Program("Gauss-Seidel by rows", gauss_seidel, lambda rng, size: (rng.random(size),), (9, 14), (120, 1000), 4),
    Program(
        "red-black relaxation", red_black, lambda rng, size: (rng.random(size), rng.random(size)), (41,), (100_001,), 4
    ),
    Program(
        "moving average by rows", moving_average, lambda rng, size: (rng.random(size), 0.1), (12, 5), (200, 1000), 4
    ),
)
