"""Functions that draw random numbers, and what their numbers should be like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

erf = np.vectorize(math.erf)


def normal_cdf(x):
    return 0.5 * (1 + erf(x / math.sqrt(2)))


def triangular_cdf(x):
    """For left 1, mode 2, right 5."""
    return np.where(x < 2, (x - 1) ** 2 / 4, 1 - (5 - x) ** 2 / 12)


@dataclass
class Distribution:
    """A method's call and its distribution function; where that is not continuous, `mass` has the probabilities of 0, 1, 2, ..."""

    call: Callable[[Any, Any], Any]
    cdf: Callable[[Any], Any] | None = None
    mass: np.ndarray | None = None
    dtype: str = "f8"


DISTRIBUTIONS: dict[str, Distribution] = {
    "random": Distribution(lambda r, n: r.random(n), lambda x: x),
    "random_f4": Distribution(lambda r, n: r.random(n, dtype="f4"), lambda x: x, dtype="f4"),
    "uniform": Distribution(lambda r, n: r.uniform(-2, 3, n), lambda x: (x + 2) / 5),
    "standard_normal": Distribution(lambda r, n: r.standard_normal(n), normal_cdf),
    "standard_normal_f4": Distribution(lambda r, n: r.standard_normal(n, np.float32), normal_cdf, dtype="f4"),
    "normal": Distribution(lambda r, n: r.normal(5, 2, size=n), lambda x: normal_cdf((x - 5) / 2)),
    "lognormal": Distribution(lambda r, n: r.lognormal(0.5, 2, n), lambda x: normal_cdf((np.log(x) - 0.5) / 2)),
    "standard_exponential": Distribution(lambda r, n: r.standard_exponential(n), lambda x: -np.expm1(-x)),
    "standard_exponential_f4": Distribution(
        lambda r, n: r.standard_exponential(n, dtype="f4", method="inv"), lambda x: -np.expm1(-x), dtype="f4"
    ),
    "exponential": Distribution(lambda r, n: r.exponential(3.0, n), lambda x: -np.expm1(-x / 3)),
    "laplace": Distribution(
        lambda r, n: r.laplace(1, 2, n), lambda x: 0.5 + 0.5 * np.sign(x - 1) * -np.expm1(-np.abs(x - 1) / 2)
    ),
    "logistic": Distribution(lambda r, n: r.logistic(1, 2, n), lambda x: 1 / (1 + np.exp(-(x - 1) / 2))),
    "gumbel": Distribution(lambda r, n: r.gumbel(1, 2, n), lambda x: np.exp(-np.exp(-(x - 1) / 2))),
    "rayleigh": Distribution(lambda r, n: r.rayleigh(2, n), lambda x: -np.expm1(-(x**2) / 8)),
    "weibull": Distribution(lambda r, n: r.weibull(1.5, n), lambda x: -np.expm1(-(x**1.5))),
    "pareto": Distribution(lambda r, n: r.pareto(2.5, n), lambda x: 1 - (1 + x) ** -2.5),
    "power": Distribution(lambda r, n: r.power(2.5, n), lambda x: x**2.5),
    "triangular": Distribution(lambda r, n: r.triangular(1, 2, 5, n), triangular_cdf),
    "standard_cauchy": Distribution(lambda r, n: r.standard_cauchy(n), lambda x: 0.5 + np.arctan(x) / np.pi),
    "geometric": Distribution(
        lambda r, n: r.geometric(0.3, n), mass=np.r_[0, 0.3 * 0.7 ** np.arange(40)], dtype="i8"
    ),
    "integers": Distribution(lambda r, n: r.integers(7, size=n), mass=np.full(7, 1 / 7), dtype="i8"),
    "integers_i4": Distribution(
        lambda r, n: r.integers(0, 12, n, dtype="i4", endpoint=True), mass=np.full(13, 1 / 13), dtype="i4"
    ),
    "integers_u1": Distribution(
        lambda r, n: r.integers(0, 256, n, dtype="u1"), mass=np.full(256, 1 / 256), dtype="u1"
    ),
    "integers_bool": Distribution(lambda r, n: r.integers(0, 2, n, dtype=bool), mass=np.full(2, 0.5), dtype="?"),
    "integers_wide": Distribution(lambda r, n: r.integers(-(2**63), 2**63 - 2, n), lambda x: x / 2.0**64 + 0.5, dtype="i8"),
    "integers_whole": Distribution(
        lambda r, n: r.integers(0, 2**64 - 1, n, "u8", endpoint=True), lambda x: x / 2.0**64, dtype="u8"
    ),
    "choice": Distribution(lambda r, n: r.choice(5, n), mass=np.full(5, 0.2), dtype="i8"),
}  # fmt: skip


def distance(x: np.ndarray, cdf: Callable[[Any], Any]) -> float:
    """The Kolmogorov-Smirnov statistic, times the root of the count: above 1.95 in one case of a thousand."""
    steps = np.arange(x.size + 1) / x.size
    at = cdf(np.sort(x.astype("f8")))
    return float(max(np.max(steps[1:] - at), np.max(at - steps[:-1])) * math.sqrt(x.size))


def surprise(x: np.ndarray, mass: np.ndarray) -> float:
    """How many standard deviations the chi-squared statistic is above its mean, of the values that are expected ten times at least."""
    expected = mass * x.size
    told = expected >= 10
    counted = np.bincount(x.astype("i8"), minlength=mass.size)[: mass.size]
    freedom = max(int(told.sum()) - 1, 1)
    return float((((counted - expected)[told] ** 2 / expected[told]).sum() - freedom) / math.sqrt(2 * freedom))
