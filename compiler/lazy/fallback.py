"""`jit(..., fallback=True)`: a function that cannot be traced runs as it is written, with lazy arrays in place of its arguments.

What can be fused still is; what cannot (conditions on values, shapes that depend on values, functions that numfuse lacks) is NumPy's, on the host. Results
and written arguments are what NumPy would give.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numfuse.compiler.calls import normal, share_memory
from numfuse.compiler.compiled import write_back
from numfuse.compiler.lazy.host import to_host
from numfuse.compiler.lazy.nodes import Left, heard
from numfuse.compiler.lazy.recorder import LazyRecorder, recorder_of
from numfuse.compiler.lowered import Kernel, Lowered
from numfuse.compiler.trace.array import Array, Storage, fresh
from numfuse.compiler.tree import Path, Tree, contents, follow, set_contents, unflatten
from numfuse.compiler.views import view_through
from numfuse.runtime.cuda.array import DeviceArray


class FallbackWarning(UserWarning):
    """A jitted function is not compiled as a whole; the message says why, and names the line."""


@dataclass
class Fallback:
    """What runs in place of a compiled function, for one kind of call."""

    function: Callable[..., Any]
    tree: Tree
    reason: Exception
    target: str
    direct = plain = False

    def overlapping(self, leaves: Sequence[Any]) -> bool:
        """Whether two arrays of a call share memory; then NumPy runs the function."""
        return share_memory(leaves)

    def entry(self, specs: Sequence[Any]) -> None:
        return None

    def run(self, leaves: Sequence[Any], call: tuple[Any, Any], taken: Any = None) -> Any:
        """The function's result; what it writes to its arguments is put back into them."""
        on_device = any(isinstance(leaf, DeviceArray) for leaf in leaves)
        recorder = recorder_of("cuda" if on_device else self.target)
        returning = _Returning(recorder, leaves, on_device)
        planned, changed = self._called(recorder, returning)
        result, values = returning.finished(planned)
        for (path, names), value in zip(changed, values, strict=True):
            set_contents(follow(call, path), names, value)
        return result

    def _called(
        self, recorder: LazyRecorder, returning: _Returning
    ) -> tuple[Any, list[tuple[Path, tuple[Hashable, ...]]]]:
        """Calls the function. Gives the plan of its result and of what lists, dicts and objects among the arguments hold now, and the latter's
        places and keys. The lazy arrays are gone then, unless the function has kept one elsewhere."""
        containers: list[tuple[Path, Any, dict[Hashable, Any]]] = []
        given = returning.given()
        args, kwargs = unflatten(
            self.tree, iter(given), lambda path, made: containers.append((path, made, contents(made)))
        )
        try:
            result = self.function(*args, **kwargs)
        except BaseException:
            returning.put_back(())
            raise
        changed: list[tuple[Path, dict[Hashable, Any]]] = []
        for path, container, before in containers:
            now = contents(container)
            if path != (1,) and (now.keys() != before.keys() or any(now[key] is not before[key] for key in now)):
                changed.append((path, now))
        returned = (result, [list(now.values()) for _, now in changed])
        returning.put_back(returned)
        return returning.plan(returned), [(path, tuple(now)) for path, now in changed]


@dataclass(frozen=True)
class _Leaf:
    """An array among what a call returns: of which memory, and how it is seen."""

    place: int
    steps: Any
    scalar: bool


class _Returning:
    """Brings what lazy arrays hold at the end of a call to the caller."""

    def __init__(self, recorder: LazyRecorder, leaves: Sequence[Any], on_device: bool) -> None:
        self.recorder = recorder
        self.leaves = leaves
        self.on_device = on_device
        self.arguments: dict[Storage, int] = {}
        self.memory: list[Any] = []
        self.nodes: list[weakref.ref[Any]] = []
        self.places: dict[Storage, int] = {}

    def given(self) -> list[Any]:
        """What the function gets: for arrays lazy ones, of the same memory; numbers as they are."""
        given = [_given(self.recorder, leaf) for leaf in self.leaves]
        self.arguments = {array.storage: place for place, array in enumerate(given) if isinstance(array, Array)}
        return given

    def put_back(self, returned: Any) -> None:
        """Computes what is returned, and what the function wrote to the arguments, which is written there."""
        written = [storage for storage in self.arguments if storage.written]
        wanted = {array.storage for array in _arrays(returned) if array.recorder is self.recorder}
        self.recorder.evaluate([storage.value for storage in wanted | set(written)])
        for storage in written:
            write_back(self.leaves[self.arguments[storage]], self.recorder.evaluate([storage.value])[0])

    def plan(self, value: Any) -> Any:
        """`value` with a `_Leaf` in place of each lazy array."""
        if isinstance(value, Array):
            if value.recorder is not self.recorder:
                return value
            return _Leaf(self._place(value.storage), value.steps, value.scalar)
        return _mapped(value, self.plan)

    def _place(self, storage: Storage) -> int:
        if storage in self.arguments:
            return -1 - self.arguments[storage]
        if storage not in self.places:
            self.places[storage] = len(self.memory)
            self.memory.append(self.recorder.evaluate([storage.value])[0])
            self.nodes.append(weakref.ref(storage.value))
        return self.places[storage]

    def finished(self, value: Any) -> Any:
        """The planned results. Memory that only they refer to by now is theirs; what others hold is copied."""
        originals = [weakref.ref(storage.original) for storage in self.arguments]
        self.arguments, self.places = {}, {}
        for original in originals:
            node = original()
            if node is not None:  # an array outlives the call, and the caller may write to the argument
                node.value = node.value.copy()  # type: ignore[attr-defined]
        for place, alive in enumerate(self.nodes):
            data = self.memory[place]
            self.memory[place] = None
            data = data if self.on_device else to_host(data)
            shared = alive() is not None or sys.getrefcount(data) > 2 or getattr(data, "base", None) is not None
            self.memory[place] = data.copy() if shared else data
        return self._made(value)

    def _made(self, value: Any) -> Any:
        if isinstance(value, _Leaf):
            root = self.leaves[-1 - value.place] if value.place < 0 else self.memory[value.place]
            made = view_through(root, value.steps)
            return to_host(made)[()] if value.scalar else made
        return _mapped(value, self._made)


def _given(recorder: LazyRecorder, leaf: Any) -> Any:
    """What the function gets for an argument: arrays as lazy ones, of the same memory; numbers as they are."""
    if not isinstance(leaf, (np.ndarray, DeviceArray)):
        return leaf
    data = normal(leaf)
    array = fresh(recorder, recorder.given(data))
    if isinstance(data, DeviceArray):
        array.element_strides = data.element_strides
    elif data.ndim:
        array.element_strides = tuple([stride // data.itemsize for stride in data.strides])
    return array


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """Lists, tuples and dicts with `function` of their parts."""
    if isinstance(value, (list, tuple)):
        parts = [function(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return type(value)([(key, function(part)) for key, part in value.items()])
    return value


def _arrays(value: Any) -> Iterator[Array]:
    if isinstance(value, Array):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _arrays(part)


def warn(function: Callable[..., Any], reason: Exception, stacklevel: int) -> None:
    name = getattr(function, "__qualname__", function)
    warnings.warn(
        f"{name} is not compiled as a whole, but runs with lazy arrays, and NumPy on the host where need be: {reason}",
        FallbackWarning,
        stacklevel=stacklevel + 1,
    )


# -- looking at it -------------------------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[list[Lowered | Left]]:
    """Within, the list is told of what this thread runs: graphs, and calls that are left to NumPy."""
    before = getattr(heard, "events", None)
    events: list[Lowered | Left] = []
    heard.events = events
    try:
        yield events
    finally:
        heard.events = before


@dataclass
class Piecewise:
    """What one call of a function with fallback ran: `steps` are graphs, and calls of NumPy."""

    reason: Exception
    steps: list[Lowered | Left] = field(default_factory=list)

    @property
    def kernels(self) -> list[Kernel]:
        return [kernel for step in self.steps if isinstance(step, Lowered) for kernel in step.kernels]

    @property
    def library_calls(self) -> list[str]:
        return [name for step in self.steps if isinstance(step, Lowered) for name in step.library_calls]

    def explain(self) -> str:
        """Why the function is not compiled as a whole, and what ran in its place, in order."""
        lines = [f"not compiled as a whole: {self.reason}", f"{len(self.steps)} steps of one call, with lazy arrays:"]
        for number, step in enumerate(self.steps):
            told = f"NumPy on the host: {step}" if isinstance(step, Left) else step.explain().replace("\n", "\n  ")
            lines.append(f"{number + 1}. {told}")
        return "\n".join(lines)

    def as_text(self) -> str:
        return "\n\n\n".join(step.as_text() if isinstance(step, Lowered) else f"NumPy: {step}" for step in self.steps)

    def __str__(self) -> str:
        return self.as_text()
