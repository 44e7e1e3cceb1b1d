"""The methods of `np.random.Generator` and `np.random.RandomState` that traced generators have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numfuse.compiler.trace.choices import choice, multivariate_normal, permutation, permuted, shuffle
from numfuse.compiler.trace.random import DISTRIBUTIONS, F8, distribution, integers, randint, standard

_SHARED: dict[str, Callable[..., Any]] = {name: distribution(name) for name in DISTRIBUTIONS}
GENERATOR: dict[str, Callable[..., Any]] = {
    **_SHARED,
    "random": lambda stream, size=None, dtype=F8, out=None: standard("uniform")(stream, size, dtype, out=out),
    "standard_normal": lambda stream, size=None, dtype=F8, out=None: standard("normal")(stream, size, dtype, out=out),
    "standard_exponential": standard("exponential"),
    "integers": integers,
    "choice": choice,
    "permutation": permutation,
    "permuted": permuted,
    "shuffle": shuffle,
    "multivariate_normal": multivariate_normal,
}
STATE: dict[str, Callable[..., Any]] = {
    **_SHARED,
    **dict.fromkeys(("random", "random_sample", "ranf", "sample"), lambda stream, size=None: standard("uniform")(stream, size)),
    "standard_normal": lambda stream, size=None: standard("normal")(stream, size),
    "standard_exponential": lambda stream, size=None: standard("exponential")(stream, size),
    "rand": lambda stream, *shape: standard("uniform")(stream, shape or None),
    "randn": lambda stream, *shape: standard("normal")(stream, shape or None),
    "randint": randint,
    "permutation": lambda stream, x: permutation(stream, x),
    "shuffle": lambda stream, x: shuffle(stream, x),
    "multivariate_normal": lambda stream, mean, cov, size=None, check_valid="warn", tol=1e-8: multivariate_normal(
        stream, mean, cov, size, check_valid, tol
    ),
    "choice": lambda stream, a, size=None, replace=True, p=None: choice(stream, a, size, replace, p),
}  # fmt: skip
