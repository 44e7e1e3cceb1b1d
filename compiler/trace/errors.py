"""What tracing refuses, each with the user's line and the way out; and finding that line."""

from __future__ import annotations

import functools
import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from numfuse.compiler.graph import Location
from numpy.exceptions import AxisError

_LIBRARIES = frozenset(["numfuse", "numpy", "contextlib", "functools"])


class TraceError(TypeError):
    """The traced function asks for something that a graph cannot hold."""


class TracedValueError(TraceError):
    """The traced function asks for the value of an array that has none yet. `leaves`: where the value is computed from Python
    numbers among the arguments alone, their places in the flattened call."""

    leaves: frozenset[int] = frozenset()


class UnsupportedFunction(TraceError):
    """A NumPy function, method or argument that numfuse does not support."""


class NotAnArgument(UnsupportedFunction):
    """The traced function writes to an array that NumPy made, or that it found elsewhere."""


def of_library(frame: FrameType) -> bool:
    """Whether the frame is numfuse's or NumPy's, and not the user's."""
    return is_library(frame.f_globals.get("__name__", ""))


@functools.cache
def is_library(module: str) -> bool:
    """Whether a module is numfuse's or NumPy's, or one that stands between them and the user."""
    return module.partition(".")[0] in _LIBRARIES


def user_location() -> Location | None:
    """The innermost frame that is neither numfuse nor NumPy."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not is_library(frame.f_globals.get("__name__", "")):
            code = frame.f_code
            return Location(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None


def at_line(where: Location | None) -> str:
    """The tail of an error message: the user's file, line and source text."""
    if where is None:
        return ""
    source = linecache.getline(where.file, where.line).strip()
    shown = f"\n    {source}" if source else ""
    return f"\n  {where.file}:{where.line}, in {where.function}{shown}"


Function = TypeVar("Function", bound=Callable[..., Any])


def telling_the_line(function: Function, where: Location | None = None) -> Function:
    """Adds the user's line (`where`, or where the call comes from) to the errors that `function` raises, once."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AxisError as error:
            raise AxisError(str(error) + at_line(where or user_location())) from None
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            told = error.args[0] if error.args else None
            if isinstance(told, str) and "\n  " not in told:  # else the line is in it already
                error.args = (told + at_line(where or user_location()), *error.args[1:])
            raise

    return wrapper  # type: ignore[return-value]
