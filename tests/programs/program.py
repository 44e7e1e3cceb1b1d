"""What a program is: a NumPy function and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Make = Callable[[np.random.Generator, tuple[int, ...]], tuple[Any, ...]]


@dataclass(frozen=True)
class Program:
    """`make(rng, size)` gives the arguments; `kernels` is how many distinct ones the program may become on the CPU, at any size."""

    name: str
    function: Callable[..., Any]
    make: Make
    small: tuple[int, ...]
    full: tuple[int, ...]
    kernels: int
    rtol: float = 1e-9

    def arguments(self, size: tuple[int, ...]) -> tuple[Any, ...]:
        """The same at each call."""
        return self.make(np.random.default_rng(7), size)
