"""The functions that kernels call, for elements that are NumPy scalars: what each name means.

Generated source runs with these as plain Python, without a compiler; the simulator uses them too. The targets define the
same names for their machine (`cpu/functions.py`, `cuda/functions.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numfuse.compiler.ops.random import multiply_high, random_bits
from numfuse.compiler.types import ML_DTYPES, memory_dtype

_SAME = (
    "floor_divide", "remainder", "fmod", "absolute", "sign", "hypot", "heaviside", "maximum", "minimum", "fmax", "fmin",
    "bitwise_count", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sqrt", "logaddexp",
    "logaddexp2", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "arctan2",
    "deg2rad", "rad2deg", "floor", "ceil", "trunc", "rint", "isinf", "isfinite", "signbit", "copysign", "nextafter", "spacing", "ldexp",
    "power", "conjugate",
)  # fmt: skip


class Cast:
    """A conversion as C does it: `uint8(300)` is 44."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def __call__(self, value: Any) -> Any:
        return np.asarray(value).astype(self.dtype)[()]


TYPES = {
    name: Cast(name)
    for name in (
        "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip
float32 = TYPES["float32"]


def wrap_index(i: Any, extent: int) -> Any:
    """A place counted from the end where it is negative, and kept within the axis."""
    return min(max(i + extent if i < 0 else i, 0), extent - 1)


def modulus(z: Any) -> Any:
    return np.absolute(z)


def set_real(z: Any, part: Any) -> Any:
    return type(z)(complex(part, z.imag))


def set_imag(z: Any, part: Any) -> Any:
    return type(z)(complex(z.real, part))


def modf_fraction(x: Any) -> Any:
    return np.modf(x)[0]


def frexp_mantissa(x: Any) -> Any:
    return np.frexp(x)[0]


def frexp_exponent(x: Any) -> Any:
    return np.frexp(x)[1]


def opaque(x: Any) -> Any:
    """`x`, as a value that a compiler does not know."""
    return x


def fold_add(total: Any, value: Any) -> Any:
    """An addition that may be done in any order."""
    return total + value


def fold_multiply(total: Any, value: Any) -> Any:
    return total * value


def half(x: Any) -> Any:
    """`x` rounded to float16, held in float32."""
    return float32(np.float16(x))


def half_nextafter(x: Any, y: Any) -> Any:
    """The next float16, held in float32."""
    return float32(np.nextafter(np.float16(x), np.float16(y)))


def half_spacing(x: Any) -> Any:
    return float32(np.spacing(np.float16(x)))


def from_half(bits: Any) -> Any:
    """The float32 of a float16 that is stored as 16 bits."""
    return float32(np.uint16(bits).view(np.float16))


def to_half(x: Any) -> Any:
    """The 16 bits of the float16 of a float32."""
    return np.float16(x).view(np.uint16)


def narrow_functions(name: str) -> dict[str, Callable[[Any], Any]]:
    """The same three for a float type of ml_dtypes."""

    def dtype() -> np.dtype:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))

    def rounded(x: Any) -> Any:
        return float32(np.asarray(x).astype(dtype())[()])

    def from_bits(bits: Any) -> Any:
        return float32(np.asarray(bits, memory_dtype(dtype())).view(dtype())[()])

    def to_bits(x: Any) -> Any:
        return np.asarray(x).astype(dtype()).view(memory_dtype(dtype()))[()]

    return {name: rounded, f"from_{name}": from_bits, f"to_{name}": to_bits}


def local(length: int, dtype: Any) -> np.ndarray:
    """A small array of the thread's own."""
    return np.empty(length, dtype.dtype)


def past_line(out: Any, place: int) -> int:
    """How many elements lie between the start of a cache line and `out[place]`, if lines of 64 bytes start one element before the array."""
    return int(out.origin + place + 1) % (64 // out.flat.itemsize)


def stream(out: Any, row: int, tile: np.ndarray, start: int, first: int, end: int) -> None:
    """`out[row + k] = tile[k - start]` for k from `first` to `end`, past the caches."""
    for k in range(first, end):
        out[row + k] = tile[k - start]


def turn(tile: np.ndarray, pitch: int, source: Any, place: int, step: int, rows: int, columns: int) -> None:
    """`tile[pitch * row + column] = source[place + row + step * column]` for all rows and columns."""
    for row in range(rows):
        for column in range(columns):
            tile[pitch * row + column] = source[place + row + step * column]


def product_tile(
    rows: int, columns: int, there: int, out: Any, o: int, out_row: int, a: Any, i: int, a_row: int, a_column: int, b: Any, j: int, b_row: int,
    depth: int, before: int,
) -> None:  # fmt: skip
    """`out[o + out_row * r + c] = sum of a[i + a_row * r + a_column * k] * b[j + b_row * k + c]` over k in range(depth), which is not empty, for c in
    range(columns) and r in range(rows), of which there may be fewer; added to what stood there where `before` is not 0."""
    for r in range(min(rows, there)):
        for c in range(columns):
            total = a[i + a_row * r] * b[j + c]
            for k in range(1, depth):
                total = total + a[i + a_row * r + a_column * k] * b[j + b_row * k + c]
            place = o + out_row * r + c
            out[place] = out[place] + total if before else total


def store_fence() -> None:
    """Here stores are seen in order anyway."""


_INTEGERS = (
    "floor_divide",
    "remainder",
    "fmod",
    "power",
    "sign",
    "reciprocal",
    "gcd",
    "lcm",
    "left_shift",
    "right_shift",
)

_COMPLEX = (
    "divide", "reciprocal", "sqrt", "sign", "rint", "isinf", "isfinite", "less", "less_equal", "maximum", "minimum", "fmax", "fmin",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sinh", "cosh", "tanh", "sin", "cos", "tan", "power",
    "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh",
)  # fmt: skip

NAMES: dict[str, Any] = {
    **{name: getattr(np, name) for name in _SAME},
    **{f"int_{name}": getattr(np, name) for name in _INTEGERS},
    **{f"complex_{name}": getattr(np, name) for name in _COMPLEX},
    **{
        f.__name__: f
        for f in (
            wrap_index,
            modulus,
            set_real,
            set_imag,
            modf_fraction,
            frexp_mantissa,
            frexp_exponent,
            opaque,
            fold_add,
            fold_multiply,
            half,
            half_nextafter,
            half_spacing,
            from_half,
            to_half,
            local,
            past_line,
            stream,
            store_fence,
            turn,
            product_tile,
        )
    },
    **{name: f for theirs in ML_DTYPES for name, f in narrow_functions(theirs).items()},
    **TYPES,
    "half_fmax": np.fmax,
    "half_fmin": np.fmin,
    "int_random_bits": random_bits,
    "multiply_high": multiply_high,
    "bool_": Cast(bool),
    "inf": np.inf,
    "nan": np.nan,
    "range": range,
    "unrolled": range,
    "rolled": range,
    "min": min,
    "max": max,
}


def run_as_python(code: str, name: str) -> Callable[..., None]:
    """The function that printed kernel code defines, as plain Python."""
    return defined(code, name, NAMES)


def defined(code: str, name: str, names: Mapping[str, Any]) -> Callable[..., Any]:
    """The function that printed code defines. Its float literals are NumPy's, as division by zero is no error in a kernel."""
    scope: dict[str, Any] = dict(names)
    exec(compile(ast.fix_missing_locations(_Literals().visit(ast.parse(code))), f"<kernel {name}>", "exec"), scope)
    return scope[name]


class _Literals(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        return ast.Call(ast.Name("float64", ast.Load()), [node], [])
