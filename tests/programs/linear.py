"""Linear algebra and graphs: conjugate gradients, shortest paths, bodies, correlation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.programs.program import Program


def conjugate_gradients(a, b, x, steps=10):
    x = x.copy()
    r = b - a @ x
    p = r.copy()
    old = r @ r
    for _ in range(steps):
        ap = a @ p
        alpha = old / (p @ ap)
        x += alpha * p
        r -= alpha * ap
        new = r @ r
        p = r + new / old * p
        old = new
    return x, np.sqrt(old)


def laplacian(p):
    out = 4.0 * p
    out[1:] -= p[:-1]
    out[:-1] -= p[1:]
    out[:, 1:] -= p[:, :-1]
    out[:, :-1] -= p[:, 1:]
    return out


def poisson(b, steps=20):
    """Conjugate gradients without a matrix."""
    x, r, p = np.zeros_like(b), b.copy(), b.copy()
    old = np.sum(r * r)
    for _ in range(steps):
        ap = laplacian(p)
        alpha = old / np.sum(p * ap)
        x += alpha * p
        r -= alpha * ap
        new = np.sum(r * r)
        p = r + new / old * p
        old = new
    return x, np.sqrt(old)


def shortest_paths(path):
    for k in range(path.shape[0]):
        path[:] = np.minimum(path[:], np.add.outer(path[:, k], path[k, :]))
    return path


def acceleration(pos, mass, g, softening):
    x, y, z = pos[:, 0:1], pos[:, 1:2], pos[:, 2:3]
    dx, dy, dz = x.T - x, y.T - y, z.T - z
    inv_r3 = (dx**2 + dy**2 + dz**2 + softening**2) ** (-1.5)
    return np.hstack((g * (dx * inv_r3) @ mass, g * (dy * inv_r3) @ mass, g * (dz * inv_r3) @ mass))


def energy(pos, vel, mass, g):
    kinetic = 0.5 * np.sum(mass * vel**2)
    x, y, z = pos[:, 0:1], pos[:, 1:2], pos[:, 2:3]
    r = np.sqrt((x.T - x) ** 2 + (y.T - y) ** 2 + (z.T - z) ** 2)
    inverse = np.where(r > 0, 1.0 / np.where(r > 0, r, 1.0), 0.0)
    return kinetic, -0.5 * g * np.sum(mass * mass.T * inverse)


def n_body(mass, pos, vel, steps=10, dt=0.01, g=1.0, softening=0.1):
    vel -= np.mean(mass * vel, axis=0) / np.mean(mass)
    acc = acceleration(pos, mass, g, softening)
    kinetic, potential = np.empty(steps + 1), np.empty(steps + 1)
    kinetic[0], potential[0] = energy(pos, vel, mass, g)
    for i in range(steps):
        vel += acc * dt / 2.0
        pos += vel * dt
        acc = acceleration(pos, mass, g, softening)
        vel += acc * dt / 2.0
        kinetic[i + 1], potential[i + 1] = energy(pos, vel, mass, g)
    return kinetic, potential


def correlation(data):
    n, m = data.shape
    mean, stddev = data.mean(axis=0), data.std(axis=0)
    stddev[stddev <= 0.1] = 1.0
    data -= mean
    data /= np.sqrt(n) * stddev
    corr = np.eye(m)
    for i in range(m - 1):
        corr[i + 1 : m, i] = corr[i, i + 1 : m] = data[:, i] @ data[:, i + 1 : m]
    return corr


def eliminate(a, b):
    """Gauss's elimination with row pivots."""
    n = len(b)
    for k in range(n - 1):
        p = np.argmax(np.abs(a[k:, k])) + k
        a[[k, p]] = a[[p, k]]
        b[[k, p]] = b[[p, k]]
        factors = a[k + 1 :, k] / a[k, k]
        a[k + 1 :] -= factors[:, None] * a[k]
        b[k + 1 :] -= factors * b[k]
    x = np.zeros(n)
    for i in range(n - 1, -1, -1):
        x[i] = (b[i] - a[i, i + 1 :] @ x[i + 1 :]) / a[i, i]
    return x


def particle_in_cell(x, v, cells=256, steps=10, dt=0.02):
    """Charges in a periodic box, whose field they make: each is shared between the two cells that are near."""
    for _ in range(steps):
        place = x * cells
        left = np.floor(place).astype(int) % cells
        share = place - np.floor(place)
        right = (left + 1) % cells
        density = np.zeros(cells)
        np.add.at(density, left, 1 - share)
        np.add.at(density, right, share)
        field = np.cumsum(density / density.mean() - 1) / cells
        field -= field.mean()
        v -= dt * (field[left] * (1 - share) + field[right] * share)
        x[:] = (x + dt * v) % 1.0
    return density, 0.5 * (v * v).sum()


def _system(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    (n,) = size
    a = rng.standard_normal((n, n))
    return a @ a.T / n + np.eye(n), rng.standard_normal(n), np.zeros(n)


def _distances(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    (n,) = size
    path = rng.uniform(1, 100, (n, n))
    path[rng.random((n, n)) < 0.7] = 999
    np.fill_diagonal(path, 0)
    return (path,)


def _bodies(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    (n,) = size
    return 20.0 * np.ones((n, 1)) / n, rng.standard_normal((n, 3)), rng.standard_normal((n, 3))


LINEAR = (
    Program("conjugate gradients", conjugate_gradients, _system, (13,), (1000,), 8),
    Program(
        "Poisson's equation by conjugate gradients",
        poisson,
        lambda rng, size: (rng.random(size),),
        (13, 9),
        (500, 500),
        16,
    ),
    Program("shortest paths (Floyd-Warshall)", shortest_paths, _distances, (12,), (200,), 4),
    Program("bodies with their energy", n_body, _bodies, (8,), (300,), 12),
    Program(
        "elimination with pivots",
        eliminate,
        lambda rng, size: (rng.random((*size, *size)), rng.random(*size)),
        (7,),
        (60,),
        40,
        rtol=1e-7,
    ),
    Program(
        "particles in cells",
        particle_in_cell,
        lambda rng, size: (rng.random(size), 0.1 * rng.standard_normal(size)),
        (50,),
        (100_000,),
        13,
    ),
    Program("correlation by columns", correlation, lambda rng, size: (rng.random(size),), (20, 9), (1000, 60), 8),
)
