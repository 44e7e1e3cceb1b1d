"""NumPy's functions that are written in Python over other functions of NumPy: traced through, as the user's own code is.

`np.gradient` and some hundred others need no definition of ours: their source runs with traced arrays. NumPy's modules make arrays by names that its
protocols do not cover (`asanyarray`, `empty`), so the source runs with globals in which these few names give traced arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numfuse.compiler.trace import joining, statistics
from numfuse.compiler.trace.creation import MAKERS, array
from numfuse.compiler.trace.errors import NotAnArgument, TracedValueError, UnsupportedFunction
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.types import size_of

CONVERTING = ("array", "asarray", "asanyarray", "ascontiguousarray")


class _Here(threading.local):
    recorder: Recorder | None = None
    making = False
    """Whether the arrays that NumPy's source makes are traced ones."""


_here = _Here()


def python_source(function: Any) -> FunctionType | None:
    """The Python function behind a function of NumPy; None where it is written in C."""
    source = getattr(function, "_implementation", None)
    return source if isinstance(source, FunctionType) else None


def trace_through(recorder: Recorder, source: FunctionType, args: Any, kwargs: dict[str, Any]) -> Any:
    """Runs NumPy's `source`: with plain arrays where it makes some, and again with traced ones where it writes traced values to them."""
    before = _here.recorder, _here.making
    _here.recorder = recorder
    try:
        if not _here.making:
            try:
                return bound(source)(*args, **kwargs)
            except (NotAnArgument, TracedValueError) as error:
                if isinstance(error, TracedValueError) and error.leaves:
                    raise
        _here.making = True
        return bound(source)(*args, **kwargs)
    except TracedValueError as error:
        if error.args and not str(error).startswith("np."):
            error.args = (f"np.{source.__name__} cannot be traced: {error.args[0]}",)
        raise
    except UnsupportedFunction:
        raise
    except AttributeError as error:
        raise UnsupportedFunction(f"np.{source.__name__} is not supported: {error}") from None
    finally:
        _here.recorder, _here.making = before


# -- NumPy's modules, with other makers -----------------------------------------------------------------------------------


class _Converter:
    """What NumPy's functions ask of `_array_converter`."""

    def __init__(self, *arrays: Any) -> None:
        self.given = arrays
        self.arrays = tuple([_made(np.asanyarray, one) for one in arrays])
        self.weak = [isinstance(one, (bool, int, float, complex)) and not isinstance(one, np.generic) for one in arrays]
        self.scalar_input = tuple([np.ndim(one) == 0 and not isinstance(one, np.ndarray) for one in arrays])

    def __getitem__(self, place: int) -> Any:
        return self.arrays[place]

    def __len__(self) -> int:
        return len(self.arrays)

    def as_arrays(self, *, subok: bool = True, pyscalars: str = "convert_if_no_array") -> tuple[Any, ...]:
        if pyscalars == "convert" or (pyscalars == "convert_if_no_array" and all(self.weak)):
            return self.arrays
        return tuple(
            [one if weak else made for one, made, weak in zip(self.given, self.arrays, self.weak, strict=True)]
        )

    def result_type(self, extra_dtype: Any = None, ensure_inexact: bool = False) -> np.dtype:
        kinds = [
            one.dtype if not weak else one.dtype.type(0).item()
            for one, weak in zip(self.arrays, self.weak, strict=True)
        ]
        found = np.result_type(*kinds, *([] if extra_dtype is None else [extra_dtype]))
        return np.result_type(found, 1.0) if ensure_inexact and found.kind not in "fc" else found

    def wrap(self, made: Any, /, to_scalar: bool | None = None) -> Any:
        return made


class _Broadcast:
    """What NumPy's functions ask of `np.broadcast`."""

    def __init__(self, *arrays: Any) -> None:
        self.shape = np.broadcast_shapes(*[np.shape(one) for one in arrays])
        self.ndim = self.nd = len(self.shape)
        self.size = size_of(self.shape)


def _made(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`original(...)`, one of NumPy's functions that make or convert arrays, in the trace of this thread."""
    recorder, name = _here.recorder, original.__name__
    assert recorder is not None
    if name in CONVERTING or name == "asarray_chkfinite":
        return array(recorder, np.asarray if name == "asarray_chkfinite" else original, *args, **kwargs)
    return MAKERS[name](recorder, original, *args, **kwargs) if _here.making else original(*args, **kwargs)


def _maker(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: _made(original, *args, **kwargs)


_SUBSTITUTES: dict[Any, Any] = {
    **{getattr(np, name): _maker(getattr(np, name)) for name in (*CONVERTING, "asarray_chkfinite", "zeros", "ones", "empty", "full", "eye", "identity")},
    np.broadcast: _Broadcast,
}  # fmt: skip
multiarray: Any = np._core.multiarray  # type: ignore[attr-defined]
_IN_C: dict[Any, Callable[..., Any]] = {
    getattr(np.concatenate, "__wrapped__", np.concatenate): joining.concatenate,
    multiarray.interp: statistics.interp, multiarray.interp_complex: statistics.interp,
}  # fmt: skip
_bound_globals: dict[int, dict[str, Any]] = {}


def bound(source: FunctionType) -> FunctionType:
    """`source` with globals in which NumPy's makers are ours."""
    copy = FunctionType(source.__code__, _globals_of(source), source.__name__, source.__defaults__, source.__closure__)
    copy.__kwdefaults__ = source.__kwdefaults__
    return copy


def _globals_of(source: FunctionType) -> dict[str, Any]:
    names = source.__globals__
    if id(names) not in _bound_globals:
        made = _bound_globals[id(names)] = dict(names)
        made.update({name: _substitute(value) for name, value in names.items() if not name.startswith("__")})
    return _bound_globals[id(names)]


def _substitute(value: Any) -> Any:
    if isinstance(value, ModuleType):
        return _Module(value) if value.__name__.partition(".")[0] == "numpy" else value
    if not callable(value):
        return value
    if getattr(value, "__name__", "") == "_array_converter":
        return _Converter
    original = getattr(value, "__wrapped__", value)  # the name may stand for a maker of another trace just now
    try:
        if original in _SUBSTITUTES:
            return _SUBSTITUTES[original]
        if value in _IN_C:
            return lambda *args, **kwargs: _IN_C[value](_here.recorder, *args, **kwargs)
        if isinstance(value, FunctionType) and value.__globals__.get("__name__", "").startswith("numpy."):
            return bound(value)
        return value
    except TypeError:  # not hashable
        return value


class _Module:
    """A module of NumPy, seen from within NumPy's own source."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = _substitute(getattr(self._module, name))
        if name not in MAKERS:
            setattr(self, name, value)
        return value
