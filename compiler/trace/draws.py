"""Random numbers drawn while a function is traced: they would be the same at every call, so they are refused."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numfuse.compiler.trace.errors import TraceError


@contextmanager
def no_draws(function: Callable[..., Any]) -> Iterator[None]:
    """Raises TraceError where NumPy's global generator, or one that `function` finds in its globals or closure, is drawn from within."""
    generators = _found(function)
    before = _states(generators)
    yield
    if _states(generators) != before:
        raise TraceError(
            f"{getattr(function, '__qualname__', function)} draws random numbers while it is traced, and they would be the same at every "
            "call; draw them outside, and pass the array as an argument"
        )


def is_generator(value: Any) -> bool:
    return type(value).__module__.startswith("numpy.random") and hasattr(value, "random")


def _found(function: Callable[..., Any]) -> list[Any]:
    plain = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None:
        return []
    cells = [cell for cell in plain.__closure__ or () if _filled(cell)]
    values = [plain.__globals__.get(name) for name in code.co_names] + [cell.cell_contents for cell in cells]
    return [value for value in values if is_generator(value)]


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a name that is bound later
        return False
    return True


def _states(generators: list[Any]) -> list[str]:
    """The generators' states, and the global one's where numpy.random is imported, as text that can be compared."""
    states = [repr(_state(generator)) for generator in generators]
    if "numpy.random" in sys.modules:
        name, keys, *rest = np.random.get_state()
        states.append(repr((name, np.asarray(keys).tobytes(), rest)))
    return states


def _state(generator: Any) -> Any:
    return generator.bit_generator.state if hasattr(generator, "bit_generator") else generator.get_state()
