"""`np.zeros` and its kin in a traced function, as arrays that traced values can be written to; `np.array` and `np.sum` of lists of them.

NumPy's protocols do not cover these calls, so for the time of a trace the names in the numpy module stand for functions that ask who calls: a
user's function in the tracing thread gets a traced array, everybody else what NumPy makes. Functions that do without are never traced so.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numfuse.compiler.trace import shapes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import of_library, telling_the_line
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, captured, cast
from numfuse.compiler.types import DTYPE_NAMES

Maker = Callable[..., Any]
_lock = threading.RLock()


@contextmanager
def traced_creation(recorder: Recorder) -> Iterator[None]:
    """Within, this thread's calls of `np.zeros`, `np.array` and the like from outside of libraries are recorded."""
    from numfuse.compiler.trace import methods  # noqa: F401  (its tables name NumPy's own functions, so it comes before theirs are replaced)

    owner = threading.get_ident()
    tracing = [recorder]  # emptied at the end: a module that is imported meanwhile may keep a name

    def asking(original: Callable[..., Any], make: Maker) -> Callable[..., Any]:
        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            if not tracing or threading.get_ident() != owner or of_library(sys._getframe(1)):
                return original(*args, **kwargs)
            return telling_the_line(make)(tracing[0], original, *args, **kwargs)

        return function

    with _lock:  # one trace at a time: each puts back what it found
        originals = {name: getattr(np, name) for name in MAKERS}
        for name, make in MAKERS.items():
            setattr(np, name, asking(originals[name], make))
        try:
            yield
        finally:
            tracing.clear()
            for name, original in originals.items():
                setattr(np, name, original)


def _filled(value: Any) -> Maker:
    def make(recorder: Recorder, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        return _full(recorder, made, recorder.constant(value, made.dtype)) if made.dtype in DTYPE_NAMES else made

    return make


def _full(recorder: Recorder, made: np.ndarray, node: Any) -> Array:
    return fresh(recorder, broadcast_node(recorder, node, made.shape))


def full(
    recorder: Recorder,
    original: Callable[..., Any],
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    given = as_array(recorder, fill_value)
    made = np.empty(shape, given.dtype if dtype is None else dtype)
    return (
        _full(recorder, made, cast(recorder, given, made.dtype))
        if made.dtype in DTYPE_NAMES
        else original(shape, fill_value, dtype)
    )


def _held(recorder: Recorder, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What NumPy makes, as an array of the trace's own."""
    made = original(*args, **kwargs)
    return fresh(recorder, captured(recorder, made).node) if made.dtype in DTYPE_NAMES else made


def array(
    recorder: Recorder, original: Callable[..., Any], a: Any, dtype: Any = None, *args: Any, **kwargs: Any
) -> Any:
    """`np.array` and `np.asarray` of traced arrays, and of nested lists with traced numbers in them."""
    if not _holds_traced(a):
        return original(a, dtype, *args, **kwargs)
    made = _joined(recorder, a)
    copies = original.__name__ == "array" and kwargs.get("copy", True)
    if dtype is not None and made.dtype != np.dtype(dtype):
        made = made.astype(dtype)
    elif copies and made is a:
        made = shapes.copy(recorder, made)
    least = kwargs.get("ndmin", 0) - made.ndim
    return made.reshape((1,) * least + made.shape) if least > 0 else made


def _holds_traced(a: Any) -> bool:
    return isinstance(a, Array) or (isinstance(a, (list, tuple)) and any(_holds_traced(part) for part in a))


def _joined(recorder: Recorder, a: Any) -> Array:
    if isinstance(a, Array):
        return a if a.weak is None and not a.scalar else fresh(recorder, a.node)
    if isinstance(a, (list, tuple)) and a:
        return shapes.stack(recorder, [_joined(recorder, part) for part in a])
    return fresh(recorder, as_array(recorder, np.asarray(a)[()]).node)


def of_list(recorder: Recorder, original: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """`np.sum([x, y], axis=0)` and the like: NumPy does not ask the arrays in a list, but makes an array of it."""
    if isinstance(a, (list, tuple)) and _holds_traced(a):
        a = _joined(recorder, a)
    return original(a, *args, **kwargs)


MAKERS: dict[str, Maker] = {
    "zeros": _filled(0),
    "ones": _filled(1),
    "empty": _filled(0),
    "full": full,
    "eye": _held,
    "identity": _held,
    "array": array,
    "asarray": array,
    "asanyarray": array,
    "ascontiguousarray": array,
    **dict.fromkeys(("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "argmax", "argmin"), of_list),
}
