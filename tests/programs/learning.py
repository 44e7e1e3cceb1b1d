"""Clusters, classifiers and pictures: k-means, logistic regression, LeNet, edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.programs.program import Program


def k_means(points, centres, rounds=10):
    for _ in range(rounds):
        distance = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
        nearest = distance.argmin(axis=1)
        one_hot = (nearest[:, None] == np.arange(centres.shape[0])[None, :]).astype(points.dtype)
        counts = one_hot.sum(axis=0)
        sums = one_hot.T @ points
        centres = sums / np.maximum(counts, 1)[:, None]
    return centres, nearest


def logistic_regression(x, y, steps=20):
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(x @ w)))
        w -= (0.1 / len(y) * x.T) @ (p - y)
    return w


def convolution(x, weights, bias):
    """`x` is (pictures, height, width, channels), `weights` (k, k, channels, results): a shifted slice for each place of the window."""
    k = weights.shape[0]
    height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
    out = np.zeros((x.shape[0], height, width, weights.shape[3]), x.dtype)
    for i in range(k):
        for j in range(k):
            for c in range(x.shape[3]):
                out += x[:, i : i + height, j : j + width, c, None] * weights[i, j, c]
    return np.maximum(out + bias, 0)


def pool(x):
    return np.maximum(np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2]), np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]))


def lenet(x, conv1, bias1, conv2, bias2, w3, b3, w4, b4, w5, b5):
    x = pool(convolution(x, conv1, bias1))
    x = pool(convolution(x, conv2, bias2))
    x = x.reshape(x.shape[0], -1)
    x = np.maximum(x @ w3 + b3, 0)
    x = np.maximum(x @ w4 + b4, 0)
    return x @ w5 + b5


def convolution_by_places(x, weights):
    """As NPBench has it: a sum for each place of the result."""
    k = weights.shape[0]
    height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
    out = np.empty((x.shape[0], height, width, weights.shape[3]), x.dtype)
    for i in range(height):
        for j in range(width):
            out[:, i, j, :] = np.sum(x[:, i : i + k, j : j + k, :, None] * weights[None], axis=(1, 2, 3))
    return out


def edges(image):
    """Blur, gradient, thinning across the edge, two thresholds and one round of joining: a small Canny."""
    kernel = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    padded = np.pad(image, 2, mode="edge")
    rows = sum(kernel[k] * padded[k : k + image.shape[0], :] for k in range(5))
    smooth = sum(kernel[k] * rows[:, k : k + image.shape[1]] for k in range(5))
    gx, gy = np.zeros_like(smooth), np.zeros_like(smooth)
    gx[:, 1:-1] = smooth[:, 2:] - smooth[:, :-2]
    gy[1:-1, :] = smooth[2:, :] - smooth[:-2, :]
    size = np.hypot(gx, gy)
    across = np.abs(gx[1:-1, 1:-1]) > np.abs(gy[1:-1, 1:-1])
    middle = size[1:-1, 1:-1]
    first = np.where(across, size[1:-1, 2:], size[2:, 1:-1])
    second = np.where(across, size[1:-1, :-2], size[:-2, 1:-1])
    thin = np.zeros_like(size)
    thin[1:-1, 1:-1] = np.where((middle >= first) & (middle >= second), middle, 0)
    strong, weak = thin > 0.3, thin > 0.1
    near = strong.copy()
    for di in (0, 1, 2):
        for dj in (0, 1, 2):
            near[1:-1, 1:-1] |= strong[di : di + near.shape[0] - 2, dj : dj + near.shape[1] - 2]
    return (near & weak).astype(np.uint8)


def _clouds(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    n, k, d = size
    return rng.standard_normal((n, d)) + 4 * rng.integers(0, 3, (n, 1)), rng.standard_normal((k, d)) * 4


def _classified(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    x = rng.standard_normal(size)
    return x, (x[:, 0] > 0).astype("f8")


def _network(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    (n,) = size
    flat = 4 * 4 * 16
    shapes = [
        (n, 28, 28, 1),
        (5, 5, 1, 6),
        (6,),
        (5, 5, 6, 16),
        (16,),
        (flat, 120),
        (120,),
        (120, 84),
        (84,),
        (84, 10),
        (10,),
    ]
    return tuple((rng.standard_normal(shape) / 4).astype("f4") for shape in shapes)


def _window(rng: np.random.Generator, size: tuple[int, ...]) -> tuple[Any, ...]:
    n, extent, channels, results = size
    return rng.standard_normal((n, extent, extent, channels)), rng.standard_normal((3, 3, channels, results))


LEARNING = (
    Program("k-means", k_means, _clouds, (40, 3, 2), (20_000, 8, 4), 6),
    Program("logistic regression", logistic_regression, _classified, (30, 4), (5000, 50), 8),
    Program("LeNet", lenet, _network, (2,), (16,), 14, 2e-4),
    Program("convolution by places", convolution_by_places, _window, (2, 7, 2, 3), (8, 32, 3, 16), 4),
    Program("edges of a picture", edges, lambda rng, size: (rng.random(size),), (17, 23), (600, 800), 11),
)  # fmt: skip
