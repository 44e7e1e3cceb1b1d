"""The array that a traced function computes with: it records each operation it meets.

An `Array` is a view of a `Storage`, whose `value` is the node that holds its contents now. Writing to a view makes a new
node for the whole storage, so every view of it sees the write, as in NumPy. A Python number that was passed as an
argument is an Array too, but a weak one: it takes the dtype of what it meets (NEP 50).
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numfuse.compiler.graph import Node, Params
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.trace.entry import entry, method, same
from numfuse.compiler.trace.errors import (
    NotAnArgument,
    TracedValueError,
    UnsupportedFunction,
    at_line,
    of_library,
    user_location,
)
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.types import Shape, size_of, type_text

Step = tuple[str, Params]
UNROLL_LIMIT = 1024
WEAK_DTYPES = {bool: np.dtype(bool), int: np.dtype("i8"), float: np.dtype("f8"), complex: np.dtype("c16")}


NOT_AN_ARGUMENT = (
    "this writes to an array that is not an argument of the function: it is a global, or NumPy made it in the function; make it with np.zeros, np.empty "
    "or np.zeros_like, or pass it as an argument"
)


def is_selection(value: Any) -> bool:
    """Whether it is `x[mask]` (a `Selected`), which knows more than arrays do."""
    return getattr(type(value), "selects", False)


class Storage:
    """Memory that views share. `value` is what it holds now; `version` counts the writes."""

    __slots__ = ("__weakref__", "captured", "original", "value", "version")

    def __init__(self, value: Node) -> None:
        self.value = value
        self.original = value
        self.version = 0
        self.captured = False

    @property
    def written(self) -> bool:
        return self.value is not self.original


class Array:
    """An array in a traced function. Has ndarray's attributes and methods; its values exist only once the graph has run."""

    __slots__ = (
        "__weakref__",
        "_node",
        "_version",
        "element_strides",
        "leaf",
        "recorder",
        "scalar",
        "steps",
        "storage",
        "weak",
    )

    def __init__(
        self,
        recorder: Recorder,
        storage: Storage,
        node: Node,
        steps: tuple[Step, ...],
        strides: Shape,
    ) -> None:
        self.recorder = recorder
        self.storage = storage
        self.steps = steps
        self._node = node
        self._version = storage.version
        self.element_strides = strides
        self.scalar = False
        self.weak: type | None = None
        self.leaf: int | None = None

    if TYPE_CHECKING:  # Python's operators: `define_operators` gives them
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = cast(Any, None)
        __pow__ = __floordiv__ = __mod__ = __matmul__ = __and__ = __or__ = __invert__ = __neg__ = cast(Any, None)
        __lt__ = __le__ = __gt__ = __ge__ = cast(Any, None)

    # -- what it is --------------------------------------------------------------------------------------------------

    __class__ = property(lambda self: self.weak or (self.dtype.type if self.scalar else np.ndarray))
    """So that `isinstance(x, np.ndarray)` in a traced function is what it is without tracing."""

    @property
    def node(self) -> Node:
        """The node that holds its value now."""
        if not self.recorder.open:
            raise TracedValueError(
                "an array of a finished trace is used: the traced function kept it in a global, a closure or an attribute; "
                "return it instead" + at_line(user_location())
            )
        if self.leaf is not None:
            return self.recorder.converted(self.leaf, self._node.name, self._node.dtype)
        if self.weak is not None and self._node.op == "constant":
            return self.recorder.constant(self._node.params["value"].item(), self._node.dtype)
        if self._version != self.storage.version:
            node = self.storage.value
            for step in self.steps:
                node = self._shown(step, node)
            self._node, self._version = node, self.storage.version
        return self._node

    @property
    def shape(self) -> Shape:
        return self._node.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        from numfuse.compiler.trace.shapes import reshape

        other = reshape(self.recorder, self, shape)
        if other.storage is not self.storage:
            raise AttributeError(
                "Incompatible shape for in-place modification. Use `.reshape()` to make a copy with the desired shape."
                + at_line(user_location())
            )
        self._node, self._version, self.steps, self.element_strides = (
            other.node,
            other._version,
            other.steps,
            other.element_strides,
        )

    @property
    def dtype(self) -> np.dtype:
        return self._node.dtype

    @property
    def strides(self) -> Shape:
        """In bytes, as ndarray's."""
        return tuple([stride * self.itemsize for stride in self.element_strides])

    @property
    def ndim(self) -> int:
        return len(self._node.shape)

    @property
    def size(self) -> int:
        return size_of(self._node.shape)

    @property
    def itemsize(self) -> int:
        return self._node.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    def __repr__(self) -> str:
        return (
            f"<traced {type_text(self.shape, self.dtype)}>" if self.recorder.lazy is None else repr(self._value("", ""))
        )

    def __str__(self) -> str:
        return repr(self) if self.recorder.lazy is None else str(self._value("", ""))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    # -- its value: a lazy array has one for the asking, a traced one has none ----------------------------------------

    def _value(self, what: str, way_out: str) -> Any:
        """The ndarray or NumPy scalar that it is, which is not to be written to; raises TracedValueError while tracing."""
        if self.recorder.lazy is not None:
            return self.recorder.lazy.value(self)
        known = self.recorder.known(self.node) if self.weak is None else None
        if known is None:
            raise self.no_value(what, way_out)
        return known[()] if self.scalar else known

    def no_value(self, what: str, way_out: str) -> TracedValueError:
        name = f"argument {self._node.name!r}" if self._node.op == "input" and self._node.name else "an array"
        error = TracedValueError(
            f"{what} asks for the value of {name} ({type_text(self.shape, self.dtype)}) while the function is traced, when it has none yet; "
            f"{way_out}{at_line(user_location())}"
        )
        if self.weak is not None:
            error.leaves = frozenset([self.leaf]) if self.leaf is not None else self.recorder.numbers_behind(self._node)
            self.recorder.asked = error
        return error

    def __bool__(self) -> bool:
        what = "a condition (if, while, and, or, not)"
        return bool(self._value(what, self._static("use np.where(condition, a, b), & and |")))

    def __float__(self) -> float:
        return float(self._value("float()", self._static("use x.astype('f8') to convert")))

    def __int__(self) -> int:
        return int(self._value("int()", self._static("use x.astype('i8') to convert")))

    def __complex__(self) -> complex:
        return complex(self._value("complex()", self._static("use x.astype('c16') to convert")))

    def __index__(self) -> int:
        way_out = self._static(
            "a size must be known when the function is traced, and an array from outside the function is indexed with np.take(a, i)"
        )
        return self._value("an index or a count", way_out).__index__()

    def __hash__(self) -> int:
        return hash(self._value("hash()", self._static("a key must be known when the function is traced")))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __format__(self, spec: str) -> str:
        return format(self if self.recorder.lazy is None else self._value("format()", ""), spec) if spec else str(self)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._value("round()", self._static("use np.round")), *([] if digits is None else [digits]))

    def __reduce__(self) -> Any:
        value = self._value("a copy by pickle", self._static("return it instead"))
        return self.recorder.lazy.rebuilding(value)

    def _static(self, way_out: str) -> str:
        if self.weak is not None:
            return f"{way_out}, or name the number's argument in static_argnames: then it is a plain Python value"
        return f"{way_out}, or compute this part outside the jitted function"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        what, way_out = (
            "conversion to a NumPy array",
            "join lists of arrays with np.stack or np.concatenate, make arrays that are written to with np.zeros, np.empty or np.zeros_like, and index "
            "an array from outside the function with np.take(a, i)",
        )
        if self.recorder.lazy is not None:
            return np.array(self._value(what, way_out), dtype, copy=copy)
        if not self.recorder.creates:
            raise self.no_value(what, way_out)  # traced again, `np.asarray` of an array is that array
        return np.array(self._value(what, way_out), dtype)

    def item(self, *args: Any) -> Any:
        return self._value("item()", "index it instead, x[i]").item(*args)

    def tolist(self) -> Any:
        return self._value("tolist()", "call it on the result, outside the jitted function").tolist()

    def __iter__(self) -> Iterator[Array]:
        if self.weak is not None:  # NumPy's helpers iterate over what is no index
            raise self.no_value("iteration, or use as an index or a count,", self._static("pass a plain Python value"))
        if not self.shape:
            raise TypeError("iteration over a 0-d array" + at_line(user_location()))
        if self.shape[0] > UNROLL_LIMIT and self.recorder.lazy is None:
            raise self.no_value(
                f"iteration over {self.shape[0]} elements",
                "write it over whole arrays (a loop is unrolled, at most "
                f"{UNROLL_LIMIT} times), or compute this part outside the jitted function",
            )
        if self.ndim == 1 and self.recorder.lazy is not None:
            return iter(self.recorder.lazy.elements(self))
        return iter([self[i] for i in range(self.shape[0])])

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """NumPy's functions wrap their results so; a traced one needs nothing."""
        return array

    # -- NumPy's protocols -------------------------------------------------------------------------------------------

    __array_priority__ = 1000

    @entry(lambda self, ufunc, method, *inputs, **kwargs: (getattr(ufunc, method), inputs, kwargs))
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from numfuse.compiler.trace.ufuncs import call_ufunc, ufunc_method

        if any(map(is_selection, inputs)):  # it knows what to do with arrays
            return NotImplemented
        if method == "__call__":
            return call_ufunc(self.recorder, ufunc, inputs, dict(kwargs))
        return ufunc_method(self.recorder, ufunc, method, inputs, kwargs)

    @entry(lambda self, function, types, args, kwargs: (function, args, kwargs))
    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from numfuse.compiler.trace.namespace import call_function

        if any(getattr(kind, "selects", False) for kind in types):
            return NotImplemented

        return call_function(self.recorder, function, args, kwargs)

    # -- views and writes --------------------------------------------------------------------------------------------

    def through(self, op: str, strides: Shape, **params: Any) -> Array:
        """A view through the view operator `op`: it shares this array's storage. Of a scalar it is an array of its own."""
        node = self.recorder.make(op, self.node, **params)
        if self.scalar and (node.shape or op in ("reshape", "broadcast_to")):
            return fresh(self.recorder, node, strides=strides)
        array = Array(self.recorder, self.storage, node, (*self.steps, (op, params)), strides)
        array.scalar = self.scalar
        return array

    def write(self, value: Node) -> None:
        """Puts `value`, of this array's shape and dtype, in place of the contents; all views see it."""
        if self.storage.captured:
            raise NotAnArgument(NOT_AN_ARGUMENT)
        self.recorder.written(self.storage)
        self.storage.value = self._scattered(self.storage.value, self.steps, value)
        self.storage.version += 1
        self.recorder.kept(self.storage)

    def _shown(self, step: Step, node: Node) -> Node:
        """What a step of a view shows of `node`. The places of a `gather` are nodes themselves."""
        op, params = step
        if op == "gather":
            return self.recorder.make(op, node, *params["places"], axes=params["axes"], at=params["at"])
        return self.recorder.make(op, node, **params)

    def _scattered(self, base: Node, steps: tuple[Step, ...], value: Node) -> Node:
        """`base` with `value` in place of what the view `steps` of it shows."""
        if not steps:
            return value
        (op, params), rest = steps[0], steps[1:]
        make = self.recorder.make
        if rest:
            value = self._scattered(self._shown(steps[0], base), rest, value)
        if op == "slice":
            return make("set_slice", base, value, start=params["start"], step=params["step"])
        if op == "reshape":
            return make("reshape", value, shape=base.shape)
        if op == "transpose":
            return make("transpose", value, perm=tuple(int(a) for a in np.argsort(params["perm"])))
        if op == "gather":
            from numfuse.compiler.trace.advanced import scattered

            return scattered(self.recorder, base, value, params["places"], params["axes"], params["at"])
        if op in ("real", "imag"):
            return make(f"set_{op}", base, value)
        raise ValueError("assignment destination is read-only")

    @entry(same(operator.getitem))
    def __getitem__(self, key: Any) -> Array:
        from numfuse.compiler.trace.indexing import get_item

        if type(key) is int and self.ndim == 1 and self.recorder.lazy is not None and self.recorder.lazy.knows(self):
            return self.recorder.lazy.element(self, key)
        return get_item(self, key)

    @entry(same(operator.setitem))
    def __setitem__(self, key: Any, value: Any) -> None:
        from numfuse.compiler.trace.indexing import set_item

        set_item(self, key, value)

    real = property(lambda self: self.__getattr__("real"), lambda self, value: self.real.__setitem__(..., value))

    @property
    def imag(self) -> Array:
        """The imaginary part: a view of a complex array, read-only zeros of any other."""
        return self.__getattr__("imag")

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set" + at_line(user_location()))
        self.imag[...] = value

    flat = property(
        lambda self: self.__getattr__("flat"), lambda self, value: self.flat.__setitem__(slice(None), value)
    )

    def __copy__(self) -> Array:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Array:
        return self.copy()

    def __getattr__(self, name: str) -> Any:
        from numfuse.compiler.trace.methods import METHODS, PROPERTIES

        if self.weak is not None and not hasattr(self.weak, name) and not of_library(sys._getframe(1)):
            raise AttributeError(f"{self.weak.__name__!r} object has no attribute {name!r}" + at_line(user_location()))
        if name in PROPERTIES:
            return entry(same(operator.attrgetter(name)))(PROPERTIES[name])(self)
        if name in METHODS:
            return functools.partial(entry(same(method(name)))(METHODS[name]), self)
        if self.recorder.lazy is not None:
            return self.recorder.lazy.attribute(self, name)
        if name.startswith("__"):
            raise AttributeError(name)
        hint = " (arrays in a traced function have no such attribute)" if hasattr(np.ndarray, name) else ""
        raise UnsupportedAttribute(f"ndarray.{name} is not supported{hint}{at_line(user_location())}")


class UnsupportedAttribute(UnsupportedFunction, AttributeError):
    """An attribute of ndarray that traced arrays lack."""


def fresh(recorder: Recorder, node: Node, scalar: bool = False, strides: Shape | None = None) -> Array:
    """An array with a storage of its own, in C order unless its `strides` are told."""
    storage = Storage(node)
    recorder.kept(storage)
    array = Array(recorder, storage, node, (), strides_of(node.shape) if strides is None else strides)
    array.scalar = scalar and not node.shape
    return array


def weak(recorder: Recorder, kind: type, node: Node, leaf: int | None = None) -> Array:
    """A Python number that has no value yet."""
    array = fresh(recorder, node, scalar=True)
    array.weak = kind
    array.leaf = leaf
    return array


def strong(recorder: Recorder, array: Array) -> Array:
    """A Python number as NumPy's array of it, which wraps around where a dtype cannot hold it."""
    return array if array.weak is None else fresh(recorder, array.node)
