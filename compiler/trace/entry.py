"""The way in: what user code calls on an array goes through here, for the user's line in errors, and for lazy arrays the way to NumPy.

A lazy array can do what tracing refuses: its recorder evaluates it and asks NumPy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from numfuse.compiler.trace.errors import telling_the_line

Method = TypeVar("Method", bound=Callable[..., Any])
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def entry(numpys: Callable[..., Call]) -> Callable[[Method], Method]:
    """A decorator for a method of Array. `numpys` gives, for the method's arguments, the call that NumPy would be given."""

    def decorate(method: Method) -> Method:
        told = telling_the_line(method)

        @functools.wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            lazy = self.recorder.lazy
            if lazy is None:
                return told(self, *args, **kwargs)
            return lazy.answer(functools.partial(method, self, *args, **kwargs), numpys(self, *args, **kwargs))

        return wrapper  # type: ignore[return-value]

    return decorate


def same(function: Callable[..., Any]) -> Callable[..., Call]:
    """For a method whose arguments are those of the function `function`."""
    return lambda *args, **kwargs: (function, args, kwargs)


def method(name: str) -> Callable[..., Any]:
    """The method `name` as a function."""

    def call(array: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(array, name)(*args, **kwargs)

    call.__module__, call.__name__ = "numpy", f"ndarray.{name}"
    return call
