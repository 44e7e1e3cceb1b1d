"""Functions whose elements come from several places: joined, padded, rolled, repeated and written in part. All take an array of two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def laplacian(u: Any) -> Any:
    return np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4 * u


def padded_stencil(u: Any) -> Any:
    p = np.pad(u, 1)
    return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "roll": laplacian,
    "roll and roll": lambda u: np.roll(u, (1, -1), (0, 1)) + u,
    "roll down and along": lambda u: np.roll(np.roll(u, 1, 1) + u, 2, 0),
    "pad": lambda u: np.pad(u, 2) * 2,
    "pad and stencil": padded_stencil,
    "edge": lambda u: np.pad(u, 2, mode="edge") * 2,
    "wrap": lambda u: np.pad(u, ((2, 1), (0, 3)), mode="wrap") + 1 if u.size else u * 2,
    "reflect": lambda u: np.pad(u, 1, mode="reflect") + 1 if u.size else u * 2,
    "append": lambda u: np.diff(u, prepend=u[:, :1], append=u[:, -1:], axis=1) if u.shape[1] else u * 2,
    "stack": lambda u: np.stack([u, u * 2, u + 1], -1),
    "stack first": lambda u: np.stack([u, u * 2], 0)[:, ::-1],
    "interleave rows": lambda u: np.stack([u, u + 1], 1).reshape(-1, u.shape[1]),
    "repeat": lambda u: np.repeat(u, 3) * np.repeat(u, 3)[::-1],
    "repeat rows": lambda u: np.repeat(u, 2, 0) + np.repeat(np.repeat(u, 2, 0), 1, 1),
    "tile": lambda u: np.tile(u, (2, 3)) + np.tile(u, (2, 3))[::-1],
    "flat roll": lambda u: np.roll(u, 4) - np.roll(u, -3),
    "sum": lambda u: np.pad(u, 2).sum(1),
    "sum of all": lambda u: np.pad(u, ((1, 2), (3, 4)), constant_values=2).sum(),
    "sum down": lambda u: np.concatenate([u, u[:2] * 3]).sum(0),
    "sum down padded": lambda u: np.pad(u, 2, mode="edge").sum(0) if u.size else u * 2,
    "centred": lambda u: _centred(np.pad(u, ((0, 1), (1, 2)))),
    "flip": lambda u: np.concatenate([u, u[:, ::-1]], 1),
    "written": lambda u: _written(u),
    "every other": lambda u: _steps(u),
    "joined to itself": lambda u: np.concatenate([u.ravel()[2:], u.ravel()[:2], u.ravel()]),
}  # fmt: skip


def _written(u: Any) -> Any:
    out = u * 2
    out[1:-1, 1:-1] = u[2:, 1:-1] + u[:-2, 1:-1] if min(u.shape) > 2 else 7
    return out


def _steps(u: Any) -> Any:
    out = u * 2
    out[1::2, ::3] = -u[1::2, ::3]
    return out


def _centred(p: Any) -> Any:
    return p * 2 - p.sum(0)
