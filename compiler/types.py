"""Element types and array specs: the names they print under, and how they are read back.

>>> spec("f4", 64, 10)
f32[64,10]
>>> parse_spec("f32[64,10]")
f32[64,10]
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]

DTYPE_NAMES: dict[np.dtype, str] = {
    np.dtype(numpy_name): name
    for numpy_name, name in {
        "bool": "bool",
        "int8": "i8",
        "int16": "i16",
        "int32": "i32",
        "int64": "i64",
        "uint8": "u8",
        "uint16": "u16",
        "uint32": "u32",
        "uint64": "u64",
        "float16": "f16",
        "float32": "f32",
        "float64": "f64",
        "complex64": "c64",
        "complex128": "c128",
    }.items()
}
DTYPES: dict[str, np.dtype] = {name: dtype for dtype, name in DTYPE_NAMES.items()}
NARROW: dict[np.dtype, str] = {np.dtype("float16"): "half"}
"""The float types whose values kernels hold in float32, rounded after each operator: the kernels' function that rounds to each. `from_` and `to_`
before that name are the functions that read and write its bits."""
ML_DTYPES = {"bfloat16": "bf16", "float8_e4m3fn": "f8e4m3fn", "float8_e5m2": "f8e5m2"}
"""Types of the package ml_dtypes, and their names in graphs. They join the tables above when the first of them is met: nothing imports the package."""


class UnsupportedDtype(TypeError):
    """An element type that no kernel can hold (object, str, datetime64, longdouble, structured)."""


def from_package(dtype: np.dtype) -> bool:
    """Whether a package has registered the type with NumPy. NumPy's own functions take such types for no floats, whatever their `kind` says."""
    return dtype.num >= 256  # NPY_USERDEF


def kind_of(dtype: np.dtype) -> str:
    """`dtype.kind` of a supported type: ml_dtypes' types are floats to kernels and passes."""
    return "f" if from_package(dtype) else dtype.kind


def inexact(dtype: np.dtype) -> bool:
    """What NumPy's functions take for floats or complex numbers: the subclasses of np.inexact."""
    return dtype.kind in "fc" and not from_package(dtype)


def known(dtype: np.dtype) -> bool:
    """Whether kernels can hold the type."""
    return dtype in DTYPE_NAMES or (from_package(dtype) and _joins(dtype))


def _joins(dtype: np.dtype) -> bool:
    """Puts a type of ml_dtypes into the tables."""
    if dtype.type.__module__ != "ml_dtypes" or dtype.name not in ML_DTYPES:
        return False
    NARROW[dtype] = dtype.name
    DTYPES[ML_DTYPES[dtype.name]] = dtype
    DTYPE_NAMES[dtype] = ML_DTYPES[dtype.name]
    return True


def dtype_named(name: str) -> np.dtype:
    """The type that graphs print under `name`, or ml_dtypes has under it. Raises KeyError."""
    name = ML_DTYPES.get(name, name)
    if name in ML_DTYPES.values():
        import ml_dtypes

        for theirs in ML_DTYPES:
            known(np.dtype(getattr(ml_dtypes, theirs)))
    return DTYPES[name]


@functools.cache
def memory_dtype(dtype: np.dtype) -> np.dtype:
    """How kernels see an element in memory: bools as bytes, narrow floats as integers of their size."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.kind == "b" or dtype in NARROW else dtype


def supported(dtype: Any) -> np.dtype:
    """`dtype` as a NumPy dtype in native byte order, or UnsupportedDtype with the way out."""
    if isinstance(dtype, np.dtype) and known(dtype):  # in native byte order, then
        return dtype
    dtype = np.dtype(dtype).newbyteorder("=")
    if not known(dtype):
        raise UnsupportedDtype(
            f"dtype {dtype.str if dtype.names else dtype} is not supported: arrays may be bool, integers of 8 to 64 bits, "
            f"float16/32/64, complex64/128, or ml_dtypes' {', '.join(ML_DTYPES)}; convert it first, for example with x.astype('f8')"
        )
    return dtype


def dtype_name(dtype: np.dtype) -> str:
    return DTYPE_NAMES[dtype]


@dataclass(frozen=True)
class Spec:
    """Shape and element type of an array that does not exist yet."""

    shape: Shape
    dtype: np.dtype

    def __repr__(self) -> str:
        return type_text(self.shape, self.dtype)

    @property
    def nbytes(self) -> int:
        return size_of(self.shape) * self.dtype.itemsize


def spec(dtype: Any, *shape: int | Sequence[int]) -> Spec:
    """An array's spec: `spec("f4", 64, 10)` or `spec("f4", (64, 10))`; no shape is a 0-d array.

    `dtype` is anything NumPy takes, or a name as graphs print it where NumPy has no such name (`"f32"`).
    """
    extents: Sequence[Any] = (
        tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape
    )
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 0 for n in extents):
        raise ValueError(f"a shape is made of integers that are not negative, not {tuple(extents)}")
    try:
        resolved = np.dtype(dtype)
    except TypeError:
        try:
            resolved = dtype_named(dtype)
        except (KeyError, ImportError):
            raise TypeError(f"{dtype!r} is not a dtype; examples: 'f4', 'float32', np.float32") from None
    return Spec(tuple(int(n) for n in extents), supported(resolved))


_SPEC = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\[([\d,\s]*)\])?\s*$")


def parse_spec(text: str) -> Spec:
    """Reads `f32[1024,1024]`; `f32[]` and `f32` are 0-d. Raises ValueError with an example."""
    match = _SPEC.match(text)
    if not match:
        raise ValueError(f"cannot read {text!r} as an array spec; write it like f32[1024,1024]")
    name, extents = match.groups()
    shape = tuple(int(n) for n in (extents or "").split(",") if n.strip())
    if name in DTYPES:
        return Spec(shape, DTYPES[name])
    try:
        return spec(name, shape)
    except TypeError:
        raise ValueError(f"unknown dtype {name!r} in {text!r}; one of {', '.join(DTYPES)}") from None


def type_text(shape: Shape, dtype: np.dtype) -> str:
    return f"{DTYPE_NAMES[dtype]}[{','.join(map(str, shape))}]"


def size_of(shape: Sequence[int]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcast shape; raises NumPy's own ValueError where the shapes do not fit."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    ndim = max(len(shape) for shape in shapes)
    result = [1] * ndim
    for shape in shapes:
        for axis, extent in enumerate(shape, ndim - len(shape)):
            if result[axis] == 1:
                result[axis] = extent
            elif extent not in (1, result[axis]):
                told = " ".join(str(shape).replace(" ", "") for shape in shapes)
                raise ValueError(f"operands could not be broadcast together with shapes {told} ")
    return tuple(result)
