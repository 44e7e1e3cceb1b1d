"""Grids that are stepped in time by slices: heat, a lid-driven cavity, electromagnetic waves; and the Mandelbrot set."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.programs.program import Program

STEPS = 100


def heat_1d(u, c):
    for _ in range(STEPS):
        u[1:-1] = u[1:-1] + c * (u[2:] - 2 * u[1:-1] + u[:-2])
    return u


def heat_2d(u, c):
    for _ in range(STEPS):
        u[1:-1, 1:-1] += c * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1])
    return u


def heat_3d(a, b):
    """As in PolyBench: two arrays in turn."""
    for _ in range(STEPS // 2):
        for old, new in ((a, b), (b, a)):
            here = old[1:-1, 1:-1, 1:-1]
            new[1:-1, 1:-1, 1:-1] = (
                0.125 * (old[2:, 1:-1, 1:-1] - 2.0 * here + old[:-2, 1:-1, 1:-1])
                + 0.125 * (old[1:-1, 2:, 1:-1] - 2.0 * here + old[1:-1, :-2, 1:-1])
                + 0.125 * (old[1:-1, 1:-1, 2:] - 2.0 * here + old[1:-1, 1:-1, :-2])
                + here
            )


def pressure_source(rho, dt, dx, dy, u, v):
    b = np.zeros_like(u)
    u_x = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
    v_y = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dy)
    b[1:-1, 1:-1] = rho * (
        1 / dt * (u_x + v_y)
        - u_x**2
        - 2 * ((u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dy) * (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * dx))
        - v_y**2
    )
    return b


def pressure_poisson(p, dx, dy, b, rounds):
    for _ in range(rounds):
        pn = p.copy()
        p[1:-1, 1:-1] = ((pn[1:-1, 2:] + pn[1:-1, :-2]) * dy**2 + (pn[2:, 1:-1] + pn[:-2, 1:-1]) * dx**2) / (
            2 * (dx**2 + dy**2)
        ) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
        p[:, -1] = p[:, -2]
        p[0, :] = p[1, :]
        p[:, 0] = p[:, 1]
        p[-1, :] = 0


def cavity(u, v, p, steps=10, rounds=20, dt=0.001, rho=1.0, nu=0.1):
    dx, dy = 2 / (u.shape[1] - 1), 2 / (u.shape[0] - 1)
    for _ in range(steps):
        un, vn = u.copy(), v.copy()
        b = pressure_source(rho, dt, dx, dy, u, v)
        pressure_poisson(p, dx, dy, b, rounds)
        for w, wn, push in (
            (u, un, dt / (2 * rho * dx) * (p[1:-1, 2:] - p[1:-1, :-2])),
            (v, vn, dt / (2 * rho * dy) * (p[2:, 1:-1] - p[:-2, 1:-1])),
        ):
            w[1:-1, 1:-1] = (
                wn[1:-1, 1:-1]
                - un[1:-1, 1:-1] * dt / dx * (wn[1:-1, 1:-1] - wn[1:-1, :-2])
                - vn[1:-1, 1:-1] * dt / dy * (wn[1:-1, 1:-1] - wn[:-2, 1:-1])
                - push
                + nu
                * (
                    dt / dx**2 * (wn[1:-1, 2:] - 2 * wn[1:-1, 1:-1] + wn[1:-1, :-2])
                    + dt / dy**2 * (wn[2:, 1:-1] - 2 * wn[1:-1, 1:-1] + wn[:-2, 1:-1])
                )
            )
        u[0, :] = 0
        u[:, 0] = 0
        u[:, -1] = 0
        u[-1, :] = 1  # the lid
        v[0, :] = 0
        v[-1, :] = 0
        v[:, 0] = 0
        v[:, -1] = 0
    return u, v, p


def fdtd(ex, ey, hz, source):
    for t in range(STEPS):
        ey[0, :] = source[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return hz


def mandelbrot(c):
    z = np.zeros_like(c)
    count = np.zeros(c.shape, np.int32)
    for n in range(50):
        inside = np.abs(z) < 2.0
        count[inside] = n
        z[...] = np.where(inside, z * z + c, z)
    count[count == 49] = 0
    return z, count


def _fields(shapes: tuple[tuple[int, ...], ...]) -> Any:
    def make(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
        return tuple(rng.standard_normal(tuple(size[k] for k in shape)) for shape in shapes)

    return make


def _plane(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    x, y = np.linspace(-2.25, 0.75, size[1]), np.linspace(-1.25, 1.25, size[0])
    return (x + y[:, None] * 1j,)


def _still(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(0.01 * rng.standard_normal(size) for _ in range(3))


def _waves(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    return *(rng.standard_normal(size) for _ in range(3)), np.arange(STEPS, dtype="f8")


WAVES = (
    Program("heat in 1 dimension", heat_1d, lambda rng, size: (rng.random(size), 0.2), (57,), (100_000,), 3),
    Program("heat in 2 dimensions", heat_2d, lambda rng, size: (rng.random(size), 0.2), (23, 31), (512, 512), 5),
    Program(
        "heat in 3 dimensions",
        heat_3d,
        lambda rng, size: (rng.random(size), rng.random(size)),
        (9, 8, 11),
        (64, 64, 64),
        6,
    ),
    Program("lid-driven cavity", cavity, _still, (13, 17), (201, 201), 12),
    Program("electromagnetic waves (FDTD)", fdtd, _waves, (15, 19), (500, 600), 12),
    Program("Mandelbrot set", mandelbrot, _plane, (19, 23), (400, 500), 4),
)
