"""A call of NumPy in the midst of lazy arrays: for what numfuse does not support, or where the result's shape depends on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.lazy.nodes import Left, heard
from numfuse.compiler.trace.array import Array, Storage
from numfuse.compiler.trace.errors import UnsupportedFunction, user_location
from numfuse.compiler.trace.ufuncs import meeting
from numfuse.compiler.types import known
from numfuse.compiler.views import view_through
from numfuse.runtime import log


class HostCall:
    """One call of NumPy's `function` with the values of lazy arrays.

    They are given as arrays that cannot be written to. Where NumPy refuses that, the call is made again with copies, and what
    they hold afterwards is put back.
    """

    def __init__(self, recorder: Any, function: Callable[..., Any], reason: str | None) -> None:
        self.recorder = recorder
        self.function = function
        self.reason = reason
        self.arrays: list[Array] = []
        self.given: dict[int, Any] = {}
        """What NumPy is given for an Array, by the Array's id."""
        self.plain: list[np.ndarray] = []
        """NumPy's own arrays among the arguments."""
        self.copying = False
        """Whether results may be held by somebody else."""
        self.copies: dict[Storage, np.ndarray] = {}

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._collect((args, kwargs))
        if self.reason is not None:
            self._tell(self.reason)
        values = self.recorder.data(self.arrays)
        self.given = {id(array): as_given(array, value) for array, value in zip(self.arrays, values, strict=True)}
        try:
            result = self._call(args, kwargs)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            self._copy()
            result = self._call(args, kwargs)
            self._put_back()
        return self.wrapped(result)

    def _tell(self, reason: str) -> None:
        events = getattr(heard, "events", None)
        if events is None and not log.wanted("fallback"):
            return
        left = Left(
            f"{_name_of(self.function)}: {reason.splitlines()[0] if reason else 'not supported'}", user_location()
        )
        if events is not None:
            events.append(left)
        log.message("fallback", str(left))

    def _collect(self, value: Any) -> None:
        if isinstance(value, Array):
            if value.recorder is not self.recorder:
                raise UnsupportedFunction(meeting(value.recorder, self.recorder))
            self.arrays.append(value)
        elif type(value) is np.ndarray:
            self.plain.append(value)
        elif type(value) in (list, tuple):
            for part in value:
                self._collect(part)
        elif type(value) is dict:
            self._collect(list(value.values()))
        elif type(value) is slice:
            self._collect((value.start, value.stop, value.step))

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.function(*[self._out(arg) for arg in args], **{key: self._out(arg) for key, arg in kwargs.items()})

    def _out(self, value: Any) -> Any:
        """`value` with NumPy's arrays in place of lazy ones."""
        if isinstance(value, Array):
            return self.given[id(value)]
        if type(value) in (list, tuple):
            return type(value)([self._out(part) for part in value])
        if type(value) is dict:
            return {key: self._out(part) for key, part in value.items()}
        if type(value) is slice:
            return slice(self._out(value.start), self._out(value.stop), self._out(value.step))
        return value

    def lifted(self, made: Any, call: Any) -> Any:
        """`made`, what the call gave, with lazy arrays in place of NumPy's."""
        if not isinstance(made, (np.ndarray, np.generic, tuple, list, dict)):
            return made
        self.copying = True
        self._collect(call)
        known = [array for array in self.arrays if self.recorder.knows(array)]
        self.given = {id(a): as_given(a, value) for a, value in zip(known, self.recorder.data(known), strict=True)}
        return self.wrapped(made)

    # -- writes ------------------------------------------------------------------------------------------------------

    def _copy(self) -> None:
        for array in self.arrays:
            if array.scalar or array.weak is not None:
                continue
            storage = array.storage
            if storage not in self.copies:
                (data,) = self.recorder.evaluate([storage.value])
                self.copies[storage] = np.array(to_host(data), order="K")
            self.given[id(array)] = view_through(self.copies[storage], array.steps)

    def _put_back(self) -> None:
        for storage, copy in self.copies.items():
            (before,) = self.recorder.evaluate([storage.value])
            if copy.tobytes() == to_host(before).tobytes():
                continue
            root = next(array for array in self.arrays if array.storage is storage)
            if storage.captured:
                raise UnsupportedFunction("assignment destination is read-only")
            self.recorder.written(storage)
            storage.value = self.recorder.given(copy.copy(order="K"))
            storage.version += 1
            root.recorder.kept(storage)

    # -- results -----------------------------------------------------------------------------------------------------

    def wrapped(self, value: Any) -> Any:
        """`value` with lazy arrays in place of NumPy's; an argument that NumPy returns is the argument itself."""
        for array in self.arrays:
            if self.given.get(id(array), array) is value:
                return array
        if any(array is value for array in self.plain):
            return value
        if type(value) is np.ndarray and known(value.dtype):
            shown = [array for array in self.arrays if _shares(value, self.given.get(id(array)))]
            copied = shown or self.copying or any(np.may_share_memory(value, array) for array in self.plain)
            wrapped = self.recorder.wrapped(value.copy() if copied else value)
            if shown:
                self.recorder.detached(wrapped.storage, [array.storage for array in shown])
            return wrapped
        if isinstance(value, np.generic) and known(value.dtype):
            return self.recorder.wrapped(value)
        if isinstance(value, tuple):
            parts = [self.wrapped(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if type(value) is list and any(isinstance(part, (np.ndarray, np.generic)) for part in value):
            return [self.wrapped(part) for part in value]
        if type(value) is dict:
            return {key: self.wrapped(part) for key, part in value.items()}
        return value


def as_given(array: Array, data: Any) -> Any:
    """`data`, an array's contents, as what NumPy would have in place of the array: a scalar, or an ndarray that is not to be written to."""
    data = to_host(data)
    if array.weak is not None:
        return data.item()
    if array.scalar:
        return data[()]
    view = data.view()
    view.flags.writeable = False
    return view


def to_host(data: Any) -> np.ndarray:
    return data if isinstance(data, np.ndarray) else data.numpy()


def _shares(value: np.ndarray, given: Any) -> bool:
    return isinstance(given, np.ndarray) and np.may_share_memory(value, given)


def _name_of(function: Callable[..., Any]) -> str:
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1).removeprefix("_")
    return f"{module}.{getattr(function, '__name__', function)}"
