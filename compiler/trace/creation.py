"""`np.zeros` and its kin in a traced function, as arrays that traced values can be written to; `np.array` and `np.sum` of lists of them.

NumPy's protocols do not cover these calls, so for the time of a trace the names in the numpy module stand for functions that ask who calls: a
user's function in the tracing thread gets a traced array, everybody else what NumPy makes. Functions that do without are never traced so.
"""

from __future__ import annotations

import builtins
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np
from numfuse.compiler.layouts import copied_order
from numfuse.compiler.trace import joining, shapes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import is_library, of_library, telling_the_line
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.selection import Selected
from numfuse.compiler.trace.ufuncs import NUMPYS, as_array, broadcast_node, captured, cast
from numfuse.compiler.types import known

Maker = Callable[..., Any]
ndarray = np.ndarray
OWN = {"numpy": "", "numpy.linalg": "linalg."}
"""NumPy's modules in which names are replaced, and how these start in the tables below."""
METHODS = {"reduce": 0, "accumulate": 0, "reduceat": 0, "outer": 0, "at": 2}
"""Of a ufunc: what computes too, and from which argument on that may be lists of arrays; a tuple of them may be an index."""
LIMIT = 4096
"""Elements of the largest array that becomes a constant of the graph."""
_lock = threading.RLock()


@contextmanager
def traced_creation(recorder: Recorder, *, classes: bool = False) -> Iterator[None]:
    """Within, this thread's calls of `np.zeros`, `np.array` and the like from outside of libraries are recorded. `classes`: and of `np.ndarray`."""
    from numfuse.compiler.trace import methods  # noqa: F401  (its tables name NumPy's own functions, so it comes before theirs are replaced)

    owner = threading.get_ident()
    tracing = [recorder]  # emptied at the end: a module that is imported meanwhile may keep a name

    def ours() -> bool:
        return bool(tracing) and threading.get_ident() == owner and not of_library(sys._getframe(2))

    def asking(original: Callable[..., Any], make: Maker) -> Callable[..., Any]:
        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            return (
                telling_the_line(make)(tracing[0], original, *args, **kwargs) if ours() else original(*args, **kwargs)
            )

        function._implementation = getattr(original, "_implementation", None)  # type: ignore[attr-defined]
        return function

    class Indexed:
        """`np.r_`, `np.mgrid` and their kin: functions that are called by indexing."""

        def __init__(self, original: Any, make: Maker) -> None:
            self.original, self.make = original, make

        def __getattr__(self, name: str) -> Any:
            return getattr(self.original, name)

        def __getitem__(self, key: Any) -> Any:
            return (
                telling_the_line(self.make)(tracing[0], self.original.__getitem__, key)
                if ours()
                else self.original[key]
            )

    class Asking:
        """A ufunc: NumPy makes an array of each list that it is given, and does not ask what is in it."""

        def __init__(self, original: Callable[..., Any], first: int = 0) -> None:
            self.original, self.first = original, first

        __class__ = property(lambda self: np.ufunc)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if tracing and threading.get_ident() == owner and any(map(_is_list, args[self.first :])):
                join = telling_the_line(_joined)
                joined = [join(tracing[0], one) if _is_list(one) else one for one in args[self.first :]]
                args = (*args[: self.first], *joined)
            return self.original(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            value = getattr(self.original, name)
            return Asking(value, METHODS[name]).__call__ if name in METHODS else value

        def __eq__(self, other: Any) -> bool:
            return self.original is (other.original if type(other) is Asking else other)

        def __hash__(self) -> int:
            return hash(self.original)

        def __repr__(self) -> str:
            return repr(self.original)

    class OfInstances(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, ndarray)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, ndarray)

        def __getattr__(cls, name: str) -> Any:
            return getattr(ndarray, name)

    class Ndarray(metaclass=OfInstances):
        """`np.ndarray(shape)`, without a buffer."""

        def __new__(cls, shape: Any, dtype: Any = float, *args: Any, **kwargs: Any) -> Any:
            plain = args or kwargs or not ours()
            return (
                ndarray(shape, dtype, *args, **kwargs) if plain else MAKERS["empty"](tracing[0], np.empty, shape, dtype)
            )

    replaced: dict[str, Any] = {name: asking(attrgetter(name)(np), make) for name, make in MAKERS.items()}
    replaced |= {name: Indexed(getattr(np, name), make) for name, make in INDEXED.items()}
    replaced |= {name: Asking(ufunc) for name, ufunc in NUMPYS.items() if not ufunc.signature}
    if classes:
        replaced["ndarray"] = Ndarray
    recorder.creates = True
    with _lock:  # one trace at a time: each puts back what it found
        length = builtins.len

        @functools.wraps(length)
        def traced_length(of: Any) -> Any:
            known = type(of) is not Selected or not tracing or threading.get_ident() != owner
            return length(of) if known else of.count

        builtins.len = traced_length
        places = list(_places(replaced))
        for names, name, _, replacement in places:
            names[name] = replacement
        try:
            yield
        finally:
            tracing.clear()
            builtins.len = length
            for names, name, original, _ in places:
                names[name] = original


def _places(replaced: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Any, Any]]:
    """Where the names stand: in the numpy module, and in modules that import them from it. (names, name, what stands there, what is to)"""
    of_original = {id(attrgetter(name)(np)): replacement for name, replacement in replaced.items()}
    for module, loaded in list(sys.modules.items()):
        names = getattr(loaded, "__dict__", None)
        first = module.partition(".")[0]
        own = OWN.get(module)
        if names is None or (is_library(module) and own is None) or first in sys.stdlib_module_names - {"__main__"}:
            continue
        for name, value in list(names.items()):
            if id(value) in of_original and (own is None or own + name in replaced):
                yield names, name, value, of_original[id(value)]


def _filled(value: Any) -> Maker:
    def make(recorder: Recorder, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        return _full(recorder, made, recorder.constant(value, made.dtype)) if known(made.dtype) else made

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
        if known(made.dtype)
        else original(shape, fill_value, dtype)
    )


def _held(recorder: Recorder, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What NumPy makes, as arrays of the trace's own, whose values are known until traced ones are written to them."""
    return _of_trace(recorder, original(*args, **kwargs))


def _of_trace(recorder: Recorder, made: Any) -> Any:
    if isinstance(made, (list, tuple)):
        return type(made)([_of_trace(recorder, one) for one in made])
    if type(made) is not ndarray or not known(made.dtype):
        return made
    node = captured(recorder, made).node if made.size > LIMIT else recorder.constant_array(made)
    return fresh(recorder, node, strides=copied_order(made.shape, made.strides))


def _of_numbers(a: Any) -> bool:
    numbers = isinstance(a, (bool, int, float, complex, np.generic))
    return numbers or (isinstance(a, (list, tuple)) and all(_of_numbers(part) for part in a))


def array(
    recorder: Recorder, original: Callable[..., Any], a: Any, dtype: Any = None, *args: Any, **kwargs: Any
) -> Any:
    """`np.array` and `np.asarray` of traced arrays, and of nested lists with traced numbers in them."""
    if not holds_traced(a):
        return original(a, dtype, *args, **kwargs)
    made = _joined(recorder, a)
    copies = original.__name__ == "array" and kwargs.get("copy", True)
    if dtype is not None and made.dtype != np.dtype(dtype):
        made = made.astype(dtype)
    elif copies and made is a:
        made = shapes.copy(recorder, made)
    order = ORDERS.get(original.__name__) or kwargs.get("order") or (args[0] if args else None)
    if order in ("C", "F") and not shapes.lies_in(made, order):
        made = shapes.copy(recorder, made, order)
    least = (1 if original.__name__ in ORDERS else kwargs.get("ndmin", 0)) - made.ndim
    return made.reshape((1,) * least + made.shape) if least > 0 else made


ORDERS = {"ascontiguousarray": "C", "asfortranarray": "F"}


def array_of_user(recorder: Recorder, original: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """As `array`; and lists of numbers too become arrays of the trace's own, which traced arrays can index."""
    made = array(recorder, original, a, *args, **kwargs)
    return _of_trace(recorder, made) if _of_numbers(a) else made


def take_from(recorder: Recorder, original: Callable[..., Any], a: Any, indices: Any, *args: Any, **kwargs: Any) -> Any:
    """`np.take(table, i)` of an array from outside: NumPy does not ask the places."""
    from numfuse.compiler.trace.take import take

    if isinstance(a, Array) or not holds_traced(indices):
        return original(a, indices, *args, **kwargs)
    return take(recorder, a, indices, *args, **kwargs)


def holds_traced(a: Any) -> bool:
    return isinstance(a, Array) or (isinstance(a, (list, tuple)) and any(holds_traced(part) for part in a))


def _joined(recorder: Recorder, a: Any) -> Array:
    if isinstance(a, Array):
        return a if a.weak is None and not a.scalar else fresh(recorder, a.node)
    if isinstance(a, (list, tuple)) and a:
        return joining.of_parts(recorder, [_joined(recorder, part) for part in a])
    return fresh(recorder, as_array(recorder, np.asarray(a)[()]).node)


def _is_list(a: Any) -> bool:
    return isinstance(a, (list, tuple)) and holds_traced(a)


def of_lists(recorder: Recorder, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`np.sum([x, y], axis=0)` and the like: NumPy does not ask the arrays in a list, but makes an array of it."""
    return original(*[_joined(recorder, one) if _is_list(one) else one for one in args], **kwargs)


def enumerated(recorder: Recorder, original: Any, arr: Any) -> Any:
    """`np.ndenumerate(x)`: each element with its place."""
    return ((place, arr[place]) for place in np.ndindex(arr.shape)) if isinstance(arr, Array) else original(arr)


def _rows(recorder: Recorder, original: Any, key: Any) -> Any:
    """`np.r_[...]` and `np.c_[...]`, by NumPy's own source."""
    from numfuse.compiler.trace.through import trace_through

    if not holds_traced(list(key) if isinstance(key, tuple) else [key]):
        return _held(recorder, original, key)
    return trace_through(recorder, original.__func__, (original.__self__, key), {})


INDEXED: dict[str, Maker] = {"r_": _rows, "c_": _rows, "mgrid": _held, "ogrid": _held}
MAKERS: dict[str, Maker] = {
    "zeros": _filled(0),
    "ones": _filled(1),
    "empty": _filled(0),
    "full": full,
    **dict.fromkeys(
        (
            "eye",
            "identity",
            "arange",
            "linspace",
            "logspace",
            "geomspace",
            "tri",
            "indices",
            "fromfunction",
            "diag",
            "diagflat",
            "tril",
            "triu",
            "meshgrid",
            "vander",
            "bartlett",
            "blackman",
            "hamming",
            "hanning",
            "kaiser",
        ),
        _held,
    ),
    "array": array_of_user,
    "asarray": array_of_user,
    "take": take_from,
    "ndenumerate": enumerated,
    "asanyarray": array,
    "ascontiguousarray": array,
    "asfortranarray": array,
    "asarray_chkfinite": array,
    **dict.fromkeys(
        (
            *(
                "sum",
                "prod",
                "mean",
                "var",
                "std",
                "max",
                "min",
                "amax",
                "amin",
                "any",
                "all",
                "argmax",
                "argmin",
                "ptp",
            ),
            *("median", "average", "percentile", "quantile", "nansum", "nanmean", "nanmax", "nanmin", "count_nonzero"),
            *("cumsum", "cumprod", "diff", "sort", "argsort", "clip", "round", "around"),
            *("dot", "vdot", "inner", "outer", "cross", "transpose", "ravel", "reshape", "flip", "roll"),
            *("tile", "repeat", "trapezoid", "interp", "cov", "corrcoef", "polyval", "where", "isclose", "allclose"),
            *("linalg.norm", "linalg.det", "linalg.inv", "linalg.solve"),
        ),
        of_lists,
    ),
}
