"""Calls of NumPy's ufuncs, and Python's operators, on traced arrays: promotion, casts, broadcasting, `out=`, `where=`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import NO_PARAMS, Node, constant
from numfuse.compiler.layouts import kept_order, strides_in, strides_of
from numfuse.compiler.ops import OPERATORS as TABLE
from numfuse.compiler.trace.array import WEAK_DTYPES, Array, fresh, is_selection, weak
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.entry import entry, same
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.types import Shape, broadcast, from_package, size_of, supported

OPERATORS: dict[str, np.ufunc] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "divmod": np.divmod, "pow": np.power, "matmul": np.matmul, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift, "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "ne": np.not_equal, "gt": np.greater, "ge": np.greater_equal, "neg": np.negative, "pos": np.positive,
    "invert": np.invert, "abs": np.absolute,
}  # fmt: skip
INPLACE = {"add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"}
COMPARISONS = {np.less, np.less_equal, np.equal, np.not_equal, np.greater, np.greater_equal}
ROW_OF: dict[np.ufunc, str] = {row.ufunc: name for name, row in TABLE.items() if row.ufunc is not None}
PARTS: dict[np.ufunc, tuple[str, str]] = {
    np.divmod: ("floor_divide", "remainder"),
    np.modf: ("modf_fraction", "modf_whole"),
    np.frexp: ("frexp_mantissa", "frexp_exponent"),
}
KIND_OF_WEAK = {"b": bool, "i": int, "f": float, "c": complex}
NEGATIVE_POWER = "Integers to negative integer powers are not allowed."
REDUCTIONS: dict[np.ufunc, str] = {
    np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min", np.fmax: "fmax_reduce", np.fmin: "fmin_reduce",
    np.logical_or: "any", np.logical_and: "all", np.bitwise_and: "and_reduce", np.bitwise_or: "or_reduce",
    np.bitwise_xor: "xor_reduce",
}  # fmt: skip


NUMPYS = {name: ufunc for name, ufunc in vars(np).items() if isinstance(ufunc, np.ufunc)}
"""The ufuncs of NumPy's main namespace, in which others may stand for them while a function is traced."""


@functools.lru_cache(maxsize=4096)
def resolve(ufunc: np.ufunc, dtypes: tuple[Any, ...], dtype: np.dtype | None) -> tuple[np.dtype, ...]:
    """The dtypes of the loop that NumPy picks; a Python type (int, float, complex) stands for a weak scalar."""
    kwargs: dict[str, Any] = {} if dtype is None else {"signature": (None,) * ufunc.nin + (dtype,) * ufunc.nout}
    loop = ufunc.resolve_dtypes(dtypes + (None,) * ufunc.nout, **kwargs)
    if ufunc.nin == 2 and dtypes[0] != dtypes[1]:  # mixed integers are compared as `long long`, a type beside int64
        return tuple([np.dtype(one.str) if one.char in "qQ" else one for one in loop])
    return loop


def as_array(recorder: Recorder, value: Any) -> Array:
    """Any operand as an Array; a Python number becomes a weak one."""
    if isinstance(value, Array):
        if value.recorder is not recorder:
            raise UnsupportedFunction(meeting(value.recorder, recorder))
        return value
    if isinstance(value, np.generic):  # before Python's numbers: np.float64 is a float too, and a strong one
        return fresh(recorder, recorder.constant(value, supported(value.dtype)), scalar=True)
    if isinstance(value, (bool, int, float, complex)):
        kind = type(value) if type(value) in WEAK_DTYPES else next(k for k in WEAK_DTYPES if isinstance(value, k))
        if kind is int and not -(2**63) <= int(value.real) < 2**63:
            return weak(recorder, kind, constant(np.uint64(int(value.real))))
        return weak(recorder, kind, constant(WEAK_DTYPES[kind].type(value)))
    return captured(recorder, value)


def meeting(one: Recorder, other: Recorder) -> str:
    if one.lazy is None and other.lazy is None:
        return "arrays of two traces meet: an array of an outer or finished trace was kept"
    if one.lazy is not None and other.lazy is not None:
        return f"arrays of two devices meet: {one.lazy.device} and {other.lazy.device}; move one with x.to_device(...)"
    return "a lazy array meets a traced one; pass it to the jitted function as an argument, or its values, x.numpy()"


def captured(recorder: Recorder, value: Any) -> Array:
    """An array that the function did not get as an argument: it is read anew at each call."""
    if not isinstance(value, np.ndarray):
        if isinstance(value, (list, tuple)) and any(isinstance(part, Array) for part in value):
            from numfuse.compiler.trace.joining import of_parts

            return of_parts(recorder, [as_array(recorder, part) for part in value])
        value = np.asarray(value)
    if type(value) not in (np.ndarray, np.memmap):
        raise UnsupportedFunction(
            f"a {type(value).__name__} is not computed with like an ndarray; take np.asarray of it"
        )
    supported(value.dtype)
    known = recorder.arrays.get(id(value))
    if known is None:
        known = fresh(recorder, recorder.hold(value))
        known.storage.captured = True
        known.element_strides = strides_in(value) or known.element_strides
        if recorder.lazy is None:
            recorder.arrays[id(value)] = known
    return known


def cast(recorder: Recorder, array: Array, dtype: np.dtype) -> Node:
    """The node of `array` in `dtype`; a Python number is converted as NumPy converts it, out-of-range errors included."""
    if array.leaf is not None:
        return recorder.converted(array.leaf, array._node.name, dtype)
    if array.weak is not None and array._node.op == "constant":
        return recorder.constant(array._node.params["value"].item(), dtype)
    node = array.node
    if array.weak is int and dtype.kind in "iu" and dtype != np.int64:
        raise array.no_value("converting a computed integer", "it may not fit, which is an error in NumPy")
    if node.dtype == dtype:
        return node
    if node.op == "constant" and not node.shape:
        value = node.params["value"][()]
        return recorder.constant(value.astype(dtype), dtype)
    return recorder.emit("astype", (node,), node.shape, dtype, {"dtype": dtype})


def call_ufunc(
    recorder: Recorder, ufunc: np.ufunc, inputs: Sequence[Any], kwargs: dict[str, Any], python: bool = False
) -> Any:
    """`ufunc(*inputs, **kwargs)`; `python` tells that it came from an operator, where Python numbers stay Python numbers."""
    operands = [as_array(recorder, value) for value in inputs]
    if not kwargs and ufunc in ROW_OF:
        return apply(recorder, ufunc, operands, None, ROW_OF[ufunc], 0, python)
    out, where = kwargs.pop("out", None), kwargs.pop("where", True)
    casting, dtype = kwargs.pop("casting", "same_kind"), kwargs.pop("dtype", None)
    if isinstance(dtype, type) and issubclass(dtype, np.dtype):
        dtype = dtype()  # type: ignore[call-overload]
    kwargs.pop("subok", None)
    axis = kwargs.pop("axis", -1) if ufunc is np.vecdot else -1
    if kwargs.pop("order", "K") not in ("K", "C", "A", None) or kwargs:
        raise UnsupportedFunction(f"np.{ufunc.__name__}: the arguments {sorted(kwargs) or ['order']} are not supported")
    targets = targets_of(out, ufunc.nout)
    if axis != -1:
        moved: list[Any] = [np.moveaxis(operand, axis, -1) for operand in operands]  # type: ignore[type-var]
        operands = [fresh(recorder, one.node) for one in moved]
    if ufunc in _PRODUCTS:
        results: list[Array] = [_product(recorder, ufunc, operands, dtype)]
    elif ufunc in PARTS:
        results = [apply(recorder, ufunc, operands, dtype, row, k) for k, row in enumerate(PARTS[ufunc])]
    elif ufunc in ROW_OF:
        results = [apply(recorder, ufunc, operands, dtype, ROW_OF[ufunc], 0, python, targets[0], casting)]
    else:
        raise UnsupportedFunction(f"np.{ufunc.__name__} is not supported")
    given = [
        store(recorder, ufunc, result, target, where, casting) for result, target in zip(results, targets, strict=True)
    ]
    return given[0] if len(given) == 1 else tuple(given)


def apply(
    recorder: Recorder,
    ufunc: np.ufunc,
    operands: Sequence[Array],
    dtype: Any,
    row: str,
    result: int,
    python: bool = False,
    target: Any = None,
    casting: str = "same_kind",
) -> Array:
    """One output of an elementwise ufunc. `target`: where it is to be stored, which NumPy looks at before the shapes."""
    every_weak = all(operand.weak is not None for operand in operands)
    kinds = tuple([_promotes_as(operand, every_weak) for operand in operands])
    if ufunc in COMPARISONS and any(_unknown_integer(operand) for operand in operands):
        kinds = tuple(
            [np.dtype("i8") if kind is int else kind for kind in kinds]
        )  # compared by value, in whatever range
    loop = resolve(ufunc, kinds, None if dtype is None else np.dtype(dtype))
    if isinstance(target, Array):
        check_cast(ufunc, loop[len(operands) + result], target, casting)
    try:
        nodes = tuple([cast(recorder, operand, to) for operand, to in zip(operands, loop, strict=False)])
    except OverflowError:
        known = _comparison_out_of_range(ufunc, operands)
        if known is None:
            raise
        shape = broadcast(*[operand.shape for operand in operands])
        return fresh(recorder, recorder.make("broadcast_to", recorder.constant(known, np.dtype(bool)), shape=shape))
    shape = broadcast(*[node.shape for node in nodes])
    to = loop[ufunc.nin + result]
    node = nodes[0] if row == "positive" else _power(recorder, nodes, shape, to) if row == "power" else None
    if node is None:
        node = recorder.emit(row, nodes, shape, to, NO_PARAMS)
    if python and every_weak:
        return weak(recorder, KIND_OF_WEAK[to.kind], node)
    return fresh(recorder, node, scalar=True, strides=order_of(shape, operands))


def order_of(shape: Shape, operands: Sequence[Array]) -> Shape | None:
    """The strides that NumPy's result of these operands has; None for C order."""
    return kept_order(shape, [(one.shape, one.element_strides) for one in operands]) if len(shape) > 1 else None


def _unknown_integer(operand: Array) -> bool:
    return operand.weak is int and (operand.leaf is not None or operand._node.op != "constant")


def _promotes_as(operand: Array, every_weak: bool) -> Any:
    if operand.weak is None or operand.weak is bool:
        return supported(operand.dtype)
    return WEAK_DTYPES[operand.weak] if every_weak else operand.weak


def _power(recorder: Recorder, nodes: tuple[Node, ...], shape: Shape, dtype: np.dtype) -> Node | None:
    """Integer powers with a known exponent; NumPy refuses negative ones."""
    base, exponent = nodes
    if dtype.kind not in "iu":
        return None
    if exponent.op != "constant" or exponent.shape:
        if dtype.kind == "i":
            negative = recorder.make("less", exponent, recorder.constant(0, exponent.dtype))
            check(recorder, negative, exponent, lambda value: ValueError(NEGATIVE_POWER))
        return None
    value = int(exponent.params["value"])
    if value < 0:
        raise ValueError(NEGATIVE_POWER)
    return recorder.emit("integer_power", (base,), shape, dtype, {"exponent": value})


def _comparison_out_of_range(ufunc: np.ufunc, operands: Sequence[Array]) -> bool | None:
    """What a comparison with a Python integer outside the array's dtype gives for every element, as NumPy has it."""
    constants = [o.weak is int and o.leaf is None and o._node.op == "constant" for o in operands]
    if ufunc not in COMPARISONS or sum(constants) != 1:
        return None
    values: list[Any] = [
        int(o._node.params["value"]) if known else np.zeros((), o.dtype)
        for o, known in zip(operands, constants, strict=True)
    ]
    return bool(ufunc(*values))


def targets_of(out: Any, count: int) -> tuple[Any, ...]:
    if out is None:
        return (None,) * count
    return tuple(out) if isinstance(out, tuple) else (out,)


def check_cast(ufunc: np.ufunc, dtype: np.dtype, target: Array, casting: Any) -> None:
    if not np.can_cast(dtype, target.dtype, casting):
        raise TypeError(
            f"Cannot cast ufunc '{ufunc.__name__}' output from {dtype!r} to {target.dtype!r} with casting rule '{casting}'"
        )


def store(
    recorder: Recorder, ufunc: np.ufunc, result: Array, target: Any, where: Any = True, casting: Any = "same_kind"
) -> Array:
    """Writes `result` to `out`, where there is one, by NumPy's casting rule, and returns what the call returns."""
    if target is None or target is Ellipsis:
        if where is not True:
            raise UnsupportedFunction(
                f"np.{ufunc.__name__}: where= without out= leaves elements undefined; pass out=, or use np.where"
            )
        # `out=...` (NumPy 2.3) asks for an array, even of no axes
        return fresh(recorder, result.node) if target is Ellipsis and result.scalar else result
    target = as_array(recorder, target)
    if target.scalar or target.weak is not None:
        raise TypeError("return arrays must be of ArrayType")
    check_cast(ufunc, result.dtype, target, casting)
    if broadcast(result.shape, target.shape) != target.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {str(target.shape).replace(' ', '')} doesn't match the broadcast shape "
            f"{str(broadcast(result.shape, target.shape)).replace(' ', '')}"
        )
    value = broadcast_node(recorder, cast(recorder, result, target.dtype), target.shape)
    if where is not True:
        chosen = as_array(recorder, where)
        value = recorder.make("where", cast(recorder, chosen, np.dtype(bool)), value, target.node)
    target.write(value)
    return target


def broadcast_node(recorder: Recorder, node: Node, shape: Shape) -> Node:
    return node if node.shape == shape else recorder.make("broadcast_to", node, shape=shape)


# -- products ------------------------------------------------------------------------------------------------------------

_PRODUCTS = {np.matmul, np.matvec, np.vecmat, np.vecdot} if hasattr(np, "matvec") else {np.matmul, np.vecdot}


def _product(recorder: Recorder, ufunc: np.ufunc, operands: Sequence[Array], dtype: Any) -> Array:
    a, b = operands
    if not a.shape or not b.shape:
        at = 0 if not a.shape else 1
        raise ValueError(
            f"{ufunc.__name__}: Input operand {at} does not have enough dimensions "
            f"(has 0, gufunc core with signature {ufunc.signature} requires 1)"
        )
    to = resolve(
        ufunc, tuple(_promotes_as(operand, False) for operand in operands), None if dtype is None else np.dtype(dtype)
    )
    left, right = cast(recorder, a, to[0]), cast(recorder, b, to[1])
    row_vector = ufunc.__name__ in ("vecmat", "vecdot") or (ufunc is np.matmul and len(left.shape) == 1)
    column_vector = ufunc.__name__ in ("matvec", "vecdot") or (ufunc is np.matmul and len(right.shape) == 1)
    if row_vector and left.dtype.kind == "c" and ufunc is not np.matmul:
        left = recorder.make("conjugate", left)
    if row_vector:
        left = recorder.make("reshape", left, shape=(*left.shape[:-1], 1, left.shape[-1]))
    if column_vector:
        right = recorder.make("reshape", right, shape=(*right.shape, 1))
    node = recorder.make("matmul", left, right)
    shape = node.shape
    if column_vector:
        shape = shape[:-1]
    if row_vector:
        shape = shape[:-2] + shape[-1:] if not column_vector else shape[:-1]
    if shape != node.shape:
        node = recorder.make("reshape", node, shape=shape)
    stacks = [(a, -1 if row_vector else -2), (b, -1 if column_vector else -2)]  # NumPy keeps the order of these axes
    count = len(shape) + row_vector + column_vector - 2
    kept = kept_order(shape[:count], [(one.shape[:end], one.element_strides[:end]) for one, end in stacks])
    strides = (*[stride * size_of(shape[count:]) for stride in kept], *strides_of(shape[count:]))
    return fresh(recorder, node, scalar=True, strides=strides)


# -- reduce and outer ----------------------------------------------------------------------------------------------------


def ufunc_method(
    recorder: Recorder, ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    if method == "reduce":
        from numfuse.compiler.trace.reductions import ufunc_reduce

        return ufunc_reduce(recorder, ufunc, as_array(recorder, inputs[0]), *inputs[1:], **kwargs)
    if method == "outer":
        a, b = (as_array(recorder, value) for value in inputs)
        spread = recorder.make("reshape", a.node, shape=a.shape + (1,) * b.ndim) if a.weak is None else a.node
        left = fresh(recorder, spread) if a.weak is None else a
        return call_ufunc(recorder, ufunc, (left, b), kwargs)
    if method in ("accumulate", "reduceat"):
        from numfuse.compiler.trace import library_calls

        return getattr(library_calls, method)(
            recorder, ufunc, *inputs, **{**kwargs, "out": targets_of(kwargs.get("out"), 1)[0]}
        )
    if method == "at":
        from numfuse.compiler.trace.take import ufunc_at

        return ufunc_at(recorder, ufunc, inputs)
    raise UnsupportedFunction(f"np.{ufunc.__name__}.{method} is not supported")


# -- Python's operators --------------------------------------------------------------------------------------------------


def _foreign(value: Any) -> bool:
    """Whether Python should ask the other operand first, as ndarray does."""
    return getattr(value, "__array_ufunc__", ...) is None or is_selection(value)


def unary(ufunc: np.ufunc, numpys: Callable[..., Any]) -> Callable[[Array], Any]:
    @entry(same(numpys))
    def method(self: Array) -> Any:
        return call_ufunc(self.recorder, ufunc, (self,), {}, python=True)

    return method


def binary(ufunc: np.ufunc, numpys: Callable[..., Any]) -> Callable[[Array, Any], Any]:
    @entry(same(numpys))
    def method(self: Array, other: Any) -> Any:
        if _foreign(other):
            return NotImplemented
        return call_ufunc(self.recorder, *_python_power(ufunc, self, other), {}, python=True)

    return method


def reflected(ufunc: np.ufunc, numpys: Callable[..., Any]) -> Callable[[Array, Any], Any]:
    @entry(lambda self, other: (numpys, (other, self), {}))
    def method(self: Array, other: Any) -> Any:
        if _foreign(other):
            return NotImplemented
        return call_ufunc(self.recorder, ufunc, (other, self), {}, python=True)

    return method


def inplace(ufunc: np.ufunc, numpys: Callable[..., Any]) -> Callable[[Array, Any], Any]:
    @entry(same(numpys))
    def method(self: Array, other: Any) -> Any:
        if self.scalar and is_selection(other):
            return NotImplemented
        # Python and NumPy scalars cannot be written to: the name is bound anew
        kwargs = {} if self.scalar or self.weak is not None else {"out": (self,)}
        if ufunc is np.matmul and kwargs:
            made = call_ufunc(self.recorder, ufunc, (self, other), {})
            if made.shape != self.shape:
                raise ValueError(f"inplace matrix multiplication of shape {self.shape} gives shape {made.shape}")
        return call_ufunc(self.recorder, *_python_power(ufunc, self, other), kwargs, python=True)

    return method


def _python_power(ufunc: np.ufunc, base: Array, exponent: Any) -> tuple[np.ufunc, tuple[Any, ...]]:
    """ndarray's `**` takes a simpler ufunc for some exponents; every other operator is what it is."""
    if ufunc is np.power and type(exponent) in (int, float) and base.weak is None and not from_package(base.dtype):
        squares = "fc" if type(exponent) is float else "fciu" if base.scalar else "fciub"
        if exponent == 2 and base.dtype.kind in squares:
            return np.square, (base,)
        if exponent == 0.5 and base.dtype.kind == "f":
            return np.sqrt, (base,)
    return ufunc, (base, exponent)


def define_operators(cls: type[Array]) -> None:
    """Gives `cls` Python's operators, each as the ufunc that NumPy uses for it."""
    for name, ufunc in OPERATORS.items():
        numpys = divmod if name == "divmod" else getattr(operator, f"__{name}__")
        if ufunc.nin == 1:
            setattr(cls, f"__{name}__", unary(ufunc, numpys))
            continue
        setattr(cls, f"__{name}__", binary(ufunc, numpys))
        if ufunc not in COMPARISONS:
            setattr(cls, f"__r{name}__", reflected(ufunc, numpys))
        if name in INPLACE:
            setattr(cls, f"__i{name}__", inplace(ufunc, getattr(operator, f"__i{name}__")))
