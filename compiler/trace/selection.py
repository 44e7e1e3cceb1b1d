"""Arrays indexed with boolean arrays whose values only the run knows: `x[m]`.

Such a selection is held as the whole array and its mask. Elementwise functions work on the whole array, reductions leave out what the mask
leaves out, and an assignment under the same mask is a choice: so `x[m].mean()` and `a[m] = b[m]` are masked kernels. What else needs its shape
is refused. How they are made, and assignment, is in `masks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import Location, Node, params_key
from numfuse.compiler.ops import operator as operator_row
from numfuse.compiler.ops.gather import INTP
from numfuse.compiler.trace.array import Array, UnsupportedAttribute, fresh, weak
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.errors import (
    TracedValueError,
    UnsupportedFunction,
    at_line,
    telling_the_line,
    user_location,
)
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import INPLACE, OPERATORS, as_array, call_ufunc, cast
from numfuse.compiler.trace.ufuncs import REDUCTIONS as REDUCED
from numfuse.compiler.types import Shape, size_of

WAYS_OUT = (
    "has a shape that depends on values; it can be reduced (sum, mean, min, ...), computed with element by element, and assigned under the same mask. For "
    "anything else use np.where(mask, a, b), a size that is known (a slice of np.argsort(~mask, kind='stable'), say), or jit(..., fallback=True)"
)


def refused(what: str, where: Location | None = None) -> UnsupportedFunction:
    return UnsupportedFunction(
        f"{what}: an array indexed with a boolean array {WAYS_OUT}{at_line(where or user_location())}"
    )


def same_value(one: Node, other: Node, depth: int = 40) -> bool:
    """Whether two nodes compute the same, for certain."""
    if one is other:
        return True
    if (
        not depth
        or one.op != other.op
        or one.op == "input"
        or one.spec != other.spec
        or len(one.inputs) != len(other.inputs)
    ):
        return False
    pairs = zip(one.inputs, other.inputs, strict=True)
    return params_key(one) == params_key(other) and all(same_value(a, b, depth - 1) for a, b in pairs)


class Selected:
    """`array[m]`: of `array`, whose axes from `at` on are the mask's, the elements where the mask holds; they are one axis."""

    selects = True

    def __init__(self, array: Array, mask: Node, at: int = 0, axis: int | None = None) -> None:
        self.array = array
        self.mask = mask
        self.at = at
        self.axis = axis
        """Of what `np.nonzero(m)` gives, the axis whose places these are."""
        self.where = user_location()
        self.shared = False
        """Whether it is a view of another selection, or seen by one: then it is not written to."""

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def recorder(self) -> Recorder:
        return self.array.recorder

    @property
    def rest(self) -> Shape:
        return self.array.shape[self.at + len(self.mask.shape) :]

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim - len(self.mask.shape) + 1

    @property
    def count(self) -> Array:
        """How many elements the mask selects: a Python int that the run knows."""
        recorder = self.recorder
        ones = cast(recorder, fresh(recorder, self.mask), INTP)
        return weak(recorder, int, recorder.make("sum", ones, axis=tuple(range(len(ones.shape)))))

    @property
    def shape(self) -> tuple[Any, ...]:
        return (*self.array.shape[: self.at], self.count, *self.rest)

    @property
    def size(self) -> Any:
        return self.count * (size_of(self.array.shape[: self.at]) * size_of(self.rest))

    def __len__(self) -> int:
        raise TracedValueError(
            f"len() of an array indexed with a boolean array is not known yet; use its .size{at_line(user_location())}"
        )

    def __repr__(self) -> str:
        return f"<traced {self.array!r} where {self.mask!r}>"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise refused("conversion to a NumPy array")

    def __iter__(self) -> Iterator[Any]:
        raise refused("iteration")

    def __bool__(self) -> bool:
        raise refused("a condition")

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(name)
        raise UnsupportedAttribute(str(refused(f"ndarray.{name}")))

    def of(self, array: Array) -> Selected:
        return Selected(array, self.mask, self.at)

    def spread_mask(self) -> Node:
        """The mask, in a shape that broadcasts to the array's."""
        mask = self.mask
        return self.recorder.make("reshape", mask, shape=mask.shape + (1,) * len(self.rest)) if self.rest else mask

    # -- element by element ------------------------------------------------------------------------------------------

    def fitted(self, other: Any) -> Any:
        """Another operand as one for the whole array."""
        if not isinstance(other, Array) and isinstance(other, (bool, int, float, complex)):
            return other
        if isinstance(other, Selected):
            if other.at != self.at or other.ndim != self.ndim or not same_value(self.mask, other.mask):
                raise refused("two selections by masks that may differ")
            return other.array
        array = as_array(self.recorder, other)
        if array.ndim <= len(self.rest):
            return array
        place = array.ndim - len(self.rest) - 1
        if array.shape[place] != 1:
            raise refused(f"a selection and an array of shape {array.shape}")
        shape = (*array.shape[:place], *[1] * len(self.mask.shape), *array.shape[place + 1 :])
        return fresh(self.recorder, self.recorder.make("reshape", array.node, shape=shape))

    def apply(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """An elementwise function of selections by this mask, and of what broadcasts with them."""
        made = function(*[self.fitted(arg) for arg in args], **kwargs)
        return tuple([self.of(part) for part in made]) if isinstance(made, tuple) else self.of(made)

    @telling_the_line
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        first = (
            next(value for value in inputs if isinstance(value, Selected))
            if any(isinstance(v, Selected) for v in inputs)
            else self
        )
        if method == "reduce" and ufunc in (np.maximum, np.minimum):
            return first.extremum(ufunc, **{"axis": 0, **kwargs})
        if method == "reduce":
            return first.reduce(f"np.{ufunc.__name__}.reduce", ufunc.reduce, **{"axis": 0, **kwargs})
        if method != "__call__" or kwargs.keys() - {"dtype", "casting"}:
            raise refused(f"np.{ufunc.__name__}{'.' + method if method != '__call__' else ''}")
        if ufunc in (np.matmul, np.vecdot):
            return dot(first.recorder, *inputs)
        return first.apply(lambda *args: call_ufunc(first.recorder, ufunc, args, kwargs), inputs, {})

    @telling_the_line
    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        name = function.__name__
        if name in REDUCTIONS and args and isinstance(args[0], Selected):
            return getattr(args[0], name)(*args[1:], **kwargs)
        if function in (np.dot, np.vdot, np.inner):
            return dot(self.recorder, *args)
        if function in (np.shape, np.size, np.ndim) and len(args) == 1:
            return getattr(args[0], name)
        if function in ELEMENTWISE:
            first = next(arg for arg in (*args, *kwargs.values()) if isinstance(arg, Selected))
            named = {key: value for key, value in kwargs.items() if isinstance(value, Selected)}
            if not named:
                return first.apply(lambda *given: function(*given, **kwargs), args, {})
        raise refused(f"np.{name}")

    @telling_the_line
    def astype(self, dtype: Any, **kwargs: Any) -> Selected:
        return self.of(self.array.astype(dtype))

    def copy(self, order: str = "C") -> Selected:
        return self.of(fresh(self.recorder, self.array.node))

    def clip(self, *args: Any, **kwargs: Any) -> Any:
        return np.clip(self, *args, **kwargs)

    def round(self, decimals: int = 0) -> Any:
        return np.round(self, decimals)

    @property
    def real(self) -> Selected:
        return self.of(self.array.real)

    @property
    def imag(self) -> Selected:
        return self.of(self.array.imag)

    # -- parts of it -------------------------------------------------------------------------------------------------

    @telling_the_line
    def __getitem__(self, key: Any) -> Any:
        if (
            isinstance(key, Selected)
            and key.dtype == bool
            and not key.at
            and not key.rest
            and same_value(key.mask, self.mask)
        ):
            both = self.recorder.make("logical_and", self.mask, key.array.node)
            return Selected(self.array, both, self.at)
        keys = key if isinstance(key, tuple) else (key,)
        whole = slice(None)
        if (
            Ellipsis in [part for part in keys if not isinstance(part, (Array, np.ndarray))]
            or len(keys) <= self.at
            or keys[self.at] != whole
        ):
            if key is not Ellipsis:
                raise refused("indexing it")
            return self
        plain = all(part is not None and not isinstance(part, (Array, np.ndarray, list)) for part in keys)
        if not plain:
            raise refused("indexing it")
        gone = sum(not isinstance(part, slice) for part in keys[: self.at])
        inside = (*keys[: self.at], *[whole] * len(self.mask.shape), *keys[self.at + 1 :])
        part = Selected(fresh(self.recorder, self.array[inside].node), self.mask, self.at - gone)
        self.shared = part.shared = True
        return part

    @telling_the_line
    def __setitem__(self, key: Any, value: Any) -> None:
        whole = key is Ellipsis or key == slice(None) if not isinstance(key, (Array, Selected)) else False
        chosen = self if whole else self[key] if isinstance(key, Selected) else self
        if not isinstance(key, Selected) and not whole:
            raise refused("writing to a part of it")
        self._written()
        node = cast(self.recorder, as_array(self.recorder, chosen.fitted(value)), self.dtype)
        self.array.write(self.recorder.make("where", chosen.spread_mask(), node, self.array.node))

    def _written(self) -> None:
        if self.shared:
            raise refused("writing to a view of a selection")
        self.array = fresh(self.recorder, self.array.node)

    # -- reductions --------------------------------------------------------------------------------------------------

    def axes(self, axis: Any) -> tuple[tuple[int, ...], bool]:
        """The axes of the whole array that a reduction along `axis` takes, and whether the selected one is among them."""
        of_mask = tuple(range(self.at, self.at + len(self.mask.shape)))
        wanted = range(self.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, self.ndim)
        found: list[int] = []
        for one in wanted:
            found += of_mask if one == self.at else [one if one < self.at else one + len(of_mask) - 1]
        return tuple(found), self.at in wanted

    def reduce(
        self, name: str, function: Callable[..., Any], axis: Any = None, keepdims: Any = False, **kwargs: Any
    ) -> Any:
        """`function(array, axis=..., where=mask)`; where the selected axis stays, a selection again."""
        if kwargs.get("out") is not None or kwargs.get("where", True) is not True:
            raise refused(f"{name} with out= or where=")
        kwargs = {key: value for key, value in kwargs.items() if key not in ("out", "where")}
        axes, selected = self.axes(axis)
        if not selected:
            if keepdims:
                raise refused(f"{name} with keepdims")
            before = sum(a < self.at for a in axes)
            return Selected(function(self.array, axis=axes, **kwargs), self.mask, self.at - before)
        if not self.mask.shape:
            raise refused(f"{name} of an array indexed with a single bool")
        made = function(self.array, axis=axes, where=fresh(self.recorder, self.spread_mask()), **kwargs)
        if not keepdims:
            return made
        extents = [1 if a in axes else n for a, n in enumerate(self.array.shape)]
        shape = (*extents[: self.at], 1, *extents[self.at + len(self.mask.shape) :])
        return fresh(self.recorder, self.recorder.make("reshape", made.node, shape=shape))

    def extremum(
        self, ufunc: np.ufunc, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = np._NoValue
    ) -> Any:
        if initial is np._NoValue and self.axes(axis)[1]:
            none = self.recorder.make("any", self.mask, axis=tuple(range(len(self.mask.shape))))
            empty = self.recorder.make("logical_not", none)
            told = f"zero-size array to reduction operation {ufunc.__name__} which has no identity"
            check(self.recorder, empty, empty, lambda value: ValueError(told))
        given = {} if initial is np._NoValue else {"initial": initial}

        def reduce(array: Array, axis: Any, where: Array | None = None) -> Any:
            if where is not None:
                least = operator_row(REDUCED[ufunc]).identity
                assert least is not None
                other = self.recorder.constant(least(array.dtype), array.dtype)
                array = fresh(self.recorder, self.recorder.make("where", where.node, array.node, other))
            return ufunc.reduce(array, axis=axis, **given)

        return self.reduce(ufunc.__name__, reduce, axis, keepdims, out=out)


REDUCTIONS = ("sum", "prod", "mean", "var", "std", "any", "all", "count_nonzero", "min", "max", "amin", "amax", "ptp")


def _reduction(name: str) -> Callable[..., Any]:
    @telling_the_line
    def method(self: Selected, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        if args:
            raise refused(f"{name} with more arguments by position")
        function = getattr(np, name)
        if name == "count_nonzero":
            return np.sum(self.astype(bool), axis=axis, dtype=np.intp, **kwargs)
        return self.reduce(f"np.{name}", function, axis, kwargs.pop("keepdims", False), **kwargs)

    return method


def _extremum(ufunc: np.ufunc) -> Callable[..., Any]:
    return telling_the_line(lambda self, *args, **kwargs: self.extremum(ufunc, *args, **kwargs))


for _name in ("sum", "prod", "mean", "var", "std", "any", "all", "count_nonzero"):
    setattr(Selected, _name, _reduction(_name))
for _names, _ufunc in ((("max", "amax"), np.maximum), (("min", "amin"), np.minimum)):
    for _name in _names:
        setattr(Selected, _name, _extremum(_ufunc))
Selected.ptp = telling_the_line(lambda self, axis=None: self.max(axis) - self.min(axis))  # type: ignore[attr-defined]

ELEMENTWISE = {
    np.clip,
    np.round,
    np.around,
    np.where,
    np.isclose,
    np.nan_to_num,
    np.real,
    np.imag,
    np.angle,
    np.fix,
    np.real_if_close,
}


def dot(recorder: Recorder, a: Any, b: Any) -> Any:
    if not (isinstance(a, Selected) and isinstance(b, Selected) and a.ndim == b.ndim == 1):
        raise refused("a matrix product")
    product = a * b  # type: ignore[operator]
    return product.sum(dtype=product.dtype)


def _operator(name: str, ufunc: np.ufunc, form: str) -> Callable[..., Any]:
    @telling_the_line
    def method(self: Selected, *other: Any) -> Any:
        if other and getattr(other[0], "__array_ufunc__", ...) is None:
            return NotImplemented
        if ufunc is np.matmul:
            return dot(self.recorder, *((self, *other) if form == "plain" else (*other, self)))
        operands = (*other, self) if form == "reflected" else (self, *other)
        if form == "inplace":  # the selection is an array of its own: it is written to
            given = self.fitted(other[0])
            self._written()
            getattr(self.array, f"__i{name}__")(given)
            return self
        python = f"__{'r' if form == 'reflected' else ''}{name}__"
        if form == "reflected":
            return self.of(getattr(self.array, python)(self.fitted(operands[0])))
        return self.apply(lambda array, *rest: getattr(array, python)(*rest), operands, {})

    return method


for _name, _ufunc in dict[str, Any](OPERATORS).items():
    setattr(Selected, f"__{_name}__", _operator(_name, _ufunc, "plain"))
    if _ufunc.nin == 2 and _name not in ("lt", "le", "eq", "ne", "gt", "ge"):
        setattr(Selected, f"__r{_name}__", _operator(_name, _ufunc, "reflected"))
    if _name in INPLACE:
        setattr(Selected, f"__i{_name}__", _operator(_name, _ufunc, "inplace"))
