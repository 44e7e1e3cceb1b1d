"""Matrix products through the BLAS that NumPy brings with it, called from machine code.

NumPy's wheels carry OpenBLAS, and its functions can be looked up in NumPy's own extension module. `np.matmul` takes some microseconds to find out what to call
them with; here that is worked out once, and the call is a function with the signature of a kernel. Where NumPy has another BLAS, or no BLAS call does it, the
product is left to `np.matmul`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numfuse.compiler.lower.lying import Lying
from numfuse.compiler.lower.program import LibraryStep
from numfuse.compiler.ops.products import blas_order
from numfuse.compiler.types import Shape, size_of
from numfuse.runtime.cpu.launch import address_of
from numfuse.runtime.cpu.vectors import numpy_library

PREFIXES = ("scipy_cblas_", "cblas_")
"""How the names of a BLAS with integers of 64 bits start, which end in `64_`."""
LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}
ROW_MAJOR, AS_IT_LIES, TRANSPOSED = 101, 111, 112
SIGNATURES = {
    # order, whether either matrix is transposed, m, n, k, alpha, one matrix and its leading dimension, the other's, beta, the result's
    "gemm": "int int int long long long one array long array long zero array long",
    # order, whether the matrix is transposed, its rows and columns, alpha, it and its leading dimension, the vector and its step, beta, the result's
    "gemv": "int int long long one array long array long zero array long",
}
Described = tuple[str, tuple[int, int, int], list[int]]
"""A routine, which operand each of its arrays is, and the whole numbers that it is called with, in order."""


@dataclass(frozen=True)
class Product:
    """A matrix product, or one for each of `count`, as a kernel: the arrays are `words`, which tell it what to do, and those of `values`."""

    address: int
    words: np.ndarray
    values: tuple[int, int, int]
    count: int
    nbytes: int
    flops: int
    tiled: bool = True


def product(step: LibraryStep, found: Mapping[int, Lying]) -> Product | None:
    """The product that the step is, if one call of BLAS does it, or one for each of matrices that lie one after another with equal steps."""
    node = step.node
    numbers = [number for number in (*step.inputs, *step.outputs) if number is not None and number in found]
    letter = LETTERS.get(node.dtype.char)
    if node.op != "matmul" or letter is None or len(numbers) != 3:
        return None
    shapes, places = [*[source.shape for source in node.inputs], node.shape], [found[number] for number in numbers]
    described = _vector(shapes, places) or _matrices(shapes, places)
    found_steps = [_step(shape, place.strides, node.shape) for shape, place in zip(shapes, places, strict=True)]
    steps = [step * node.dtype.itemsize for step in found_steps if step is not None]
    if described is None or len(steps) != 3 or not _is_apart(shapes, places, node.dtype.itemsize):
        return None
    name, order, words = described
    routine = _routine(letter + name)
    if routine is None:
        return None
    count, ((n, k), m) = size_of(node.shape[:-2]), (shapes[0][-2:], shapes[1][-1])
    return Product(
        address_of(f"numfuse_{letter}{name}", _ir, letter, SIGNATURES[name]),
        np.array([routine, *[steps[place] for place in order], *words], np.int64),
        (numbers[order[0]], numbers[order[1]], numbers[2]),
        count,
        sum(size_of(shape) for shape in shapes) * node.dtype.itemsize,
        2 * count * n * k * m * (4 if letter in "cz" else 1),
    )


def _matrices(shapes: Sequence[Shape], places: Sequence[Lying]) -> Described | None:
    left, right, out = [blas_order(shape, place.strides) for shape, place in zip(shapes, places, strict=True)]
    if left is None or right is None or out is None or out[0] or _is_symmetric(shapes, places):
        return None
    flags = [TRANSPOSED if transposed else AS_IT_LIES for transposed, _ in (left, right)]
    (n, k), m = shapes[0][-2:], shapes[1][-1]
    return "gemm", (0, 1, 2), [ROW_MAJOR, *flags, n, m, k, left[1], right[1], out[1]]


def _vector(shapes: Sequence[Shape], places: Sequence[Lying]) -> Described | None:
    """Where one of the operands is a vector and the other is not."""
    n, m = shapes[2][-2:]
    if (n == 1) == (m == 1):
        return None
    matrix, vector, axis = (0, 1, -2) if m == 1 else (1, 0, -1)
    read = blas_order(shapes[matrix], places[matrix].strides)
    by, out = [places[k].strides[axis] if shapes[k][axis] > 1 else 1 for k in (vector, 2)]
    if read is None or by < 1:
        return None
    transposed, lead = read
    rows, columns = shapes[matrix][-2:][:: -1 if transposed else 1]
    flag = TRANSPOSED if transposed == (m == 1) else AS_IT_LIES
    return "gemv", (matrix, vector, 2), [ROW_MAJOR, flag, rows, columns, lead, by, out]


def _is_symmetric(shapes: Sequence[Shape], places: Sequence[Lying]) -> bool:
    """Whether it is of a matrix and its own transpose: NumPy computes half of such a product, and the other half is the same."""
    left, right = places[:2]
    return (left.base, left.start) == (right.base, right.start) and (
        (shapes[0][-2:], left.strides[-2:]) == (shapes[1][:-3:-1], right.strides[:-3:-1])
    )


def _is_apart(shapes: Sequence[Shape], places: Sequence[Lying], size: int) -> bool:
    """Whether the result is in other memory than the operands, and there are elements in all of them."""
    if any(0 in shape for shape in shapes):
        return False
    low, high = zip(*[_stretch(shape, place, size) for shape, place in zip(shapes, places, strict=True)], strict=True)
    return all(places[k].base != places[2].base or high[k] <= low[2] or high[2] <= low[k] for k in (0, 1))


def _stretch(shape: Shape, place: Lying, size: int) -> tuple[int, int]:
    """The bytes from the first to past the last element."""
    ends = [(extent - 1) * step * size for extent, step in zip(shape, place.strides, strict=True)]
    return place.start + sum(min(end, 0) for end in ends), place.start + sum(max(end, 0) for end in ends) + size


def _step(shape: Shape, strides: Shape, whole: Shape) -> int | None:
    """The elements from each matrix of an operand to the next, in the order of the result's; None where they differ."""
    missing = len(whole) - len(shape)
    steps = [0] * missing + [0 if extent == 1 else step for extent, step in zip(shape, strides, strict=True)]
    axes = [(extent, step) for extent, step in zip(whole[:-2], steps, strict=False) if extent > 1]
    if any(first != count * step for (_, first), (count, step) in pairwise(axes)):
        return None
    return axes[-1][1] if axes else 0


@functools.cache
def _routine(name: str) -> int | None:
    """Where that function of NumPy's BLAS is."""
    library = numpy_library()
    for prefix in PREFIXES:
        with contextlib.suppress(AttributeError):
            return ctypes.cast(getattr(library, f"{prefix}{name}64_"), ctypes.c_void_p).value
    return None


def _ir(name: str, letter: str, signature: str) -> str:
    """LLVM IR of a kernel over matrices; its arrays are the words (the routine, the bytes from each matrix to the next of three arrays, and the whole
    numbers of the call in their order) and the three arrays."""
    real = {"s": "float", "d": "double", "c": "float", "z": "double"}[letter]
    passed, lines, word = [], [], 4
    arrays = iter(range(3))
    for kind in signature.split():
        if kind in ("int", "long"):
            lines += [
                f"  %at{word} = getelementptr i64, ptr %words, i64 {word}",
                f"  %w{word} = load i64, ptr %at{word}",
            ]
            lines += [f"  %i{word} = trunc i64 %w{word} to i32"] if kind == "int" else []
            passed.append(f"i32 %i{word}" if kind == "int" else f"i64 %w{word}")
            word += 1
        elif kind == "array":
            passed.append(f"ptr %place{next(arrays)}")
        else:
            passed.append(f"ptr %{kind}" if letter in "cz" else f"{real} {'1.0' if kind == 'one' else '0.0'}")
    moved = []
    for k in range(3):
        lines += [
            f"  %step_at{k} = getelementptr i64, ptr %words, i64 {1 + k}",
            f"  %step{k} = load i64, ptr %step_at{k}",
        ]
        moved += [f"  %by{k} = mul i64 %k, %step{k}", f"  %place{k} = getelementptr i8, ptr %array{k}, i64 %by{k}"]
    return "\n".join(
        [
            f"define i32 @{name}(ptr %r, ptr %e, i64 %lo, i64 %hi, ptr %words, ptr %array0, ptr %array1, ptr %array2) {{",
            "start:",
            f"  %one = alloca [2 x {real}]",
            f"  %zero = alloca [2 x {real}]",
            f"  store [2 x {real}] [{real} 1.0, {real} 0.0], ptr %one",
            f"  store [2 x {real}] [{real} 0.0, {real} 0.0], ptr %zero",
            "  %routine = load ptr, ptr %words",
            *lines,
            "  br label %loop",
            "loop:",
            "  %k = phi i64 [ %lo, %start ], [ %more, %body ]",
            "  %done = icmp sge i64 %k, %hi",
            "  br i1 %done, label %end, label %body",
            "body:",
            *moved,
            f"  call void %routine({', '.join(passed)})",
            "  %more = add i64 %k, 1",
            "  br label %loop",
            "end:",
            "  ret i32 0",
            "}",
        ]
    )
