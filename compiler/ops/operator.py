"""What the operator table asks of a row. Every question a pass, a kernel or the docs have is one field here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numfuse.compiler.index import Case, Index
from numfuse.compiler.types import NARROW, Shape, Spec, from_package, kind_of

Kind = Literal[
    "elementwise", "reduction", "view", "guarded", "gather", "store", "product", "source", "library", "structure"
]
"""How an operator reads its operands.

elementwise  each element from the operands' elements at the same place, broadcast as NumPy does
reduction    each element from all elements along `axis`
view         each element is one element of the operand, at an index known when compiling
guarded      as a view, but the operand and the index depend on tests (pad, concatenate, a slice written into an array)
gather       each element is one element of the first operand, at an index that the others hold
store        a slice written into the memory of the first operand, which nobody reads afterwards
product      a matrix product that kernels compute in vector registers, of operands in memory
source       no operands: a constant, an argument, the place of an element along an axis
library      a call of NumPy, or of the device's library: matrix products, decompositions, transforms, sorting, scans
structure    made by the compiler: fused nodes and their projections
"""

Infer = Callable[[Sequence[Spec], Mapping[str, Any]], tuple[Shape, np.dtype]]
Pull = Callable[[Sequence[Shape], Mapping[str, Any], Shape, tuple[Index, ...]], list[Case]]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One row of the table."""

    name: str
    kind: Kind
    reference: Callable[..., Any]
    """The meaning, as a NumPy function of the operands' arrays and the node's params."""
    infer: Infer
    """Shape and dtype from the operands' specs and the params; raises ValueError or TypeError."""
    results: Callable[[Sequence[Spec], Mapping[str, Any]], list[Spec]] | None = None
    """Of a node that may have several results: the spec of each. Each is then read through a `get` node."""
    ufunc: np.ufunc | None = None
    """The NumPy ufunc it stands for, where it is one: gives the loop dtypes (NEP 50)."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Scalar code by the kinds of the operands' dtypes ('b', 'i', 'u', 'f', 'c'; 'e' and 'V' where float16 and ml_dtypes' floats have another; see
    `code_for`)."""
    pull: Pull | None = None
    """For views and guarded operators: where the element at an output index comes from."""
    combine: str = ""
    """For reductions: the elementwise operator that joins two partial results."""
    identity: Callable[[np.dtype], Any] | None = None
    """For reductions: the value that leaves `combine` unchanged."""
    half: bool = True
    """Whether float16 without code of its own, and narrower types, may be computed in float32 and rounded."""
    cost: int = 1
    """About how many additions one element costs; 0 for what costs nothing, 10 and more for a library function."""
    commutative: bool = False
    associative: bool = False
    idempotent: bool = False
    """f(f(x)) == f(x), or f(x, x) == x."""
    carries: str = ""
    """The kinds of operands each of which the result depends on whatever the others are, so that no compiler can do without it."""
    refuses: str = ""
    """The kinds of operands of which NumPy refuses some values: tracing has calls checked, and leaves scans and writes at places to NumPy."""
    involution: bool = False
    """f(f(x)) == x."""
    total: bool = False
    """For library calls: there is a result for all values of the operands. Others may raise, as np.linalg.inv does, and keep their order."""
    neutral: Any = None
    """The right operand that leaves the left one unchanged in value, bit for bit and for every float."""

    def code_for(self, dtypes: Sequence[np.dtype]) -> str | None:
        """The scalar code for operands of these dtypes, None where no kernel can hold it (then it is a library call)."""
        kinds = "".join([kind_of(dtype) for dtype in dtypes])
        code = self.code.get(kinds)
        if "V" in self.code and all(from_package(dtype) for dtype in dtypes):
            code = self.code["V"]
        if code is None and len(set(kinds)) == 1:
            code = self.code.get(kinds[0])
        if "e" in self.code and all(dtype == np.float16 for dtype in dtypes):
            return self.code["e"]
        if not self.half and any(dtype in NARROW for dtype in dtypes):
            return None
        return code


def same_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """`axis` (an int, a tuple, or None for all) as a sorted tuple of axes that are not negative; NumPy's errors."""
    if axis is None:
        return tuple(range(ndim))
    axes = np.lib.array_utils.normalize_axis_tuple(axis, ndim, argname="axis" if isinstance(axis, tuple) else None)
    return tuple(sorted(int(a) for a in axes))


def infer_results(results: Callable[..., list[Spec]]) -> Infer:
    """The type rule of an operator with `results`: of one result its own; a node with several has no type of its own."""

    def infer(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
        specs = results(operands, params)
        return (specs[0].shape, specs[0].dtype) if len(specs) == 1 else ((), np.dtype(bool))

    return infer


def together(results: Sequence[Any]) -> Any:
    """One result itself; several as one 0-d object array, which is the value of a node with several results."""
    if len(results) == 1:
        return results[0]
    several = np.empty((), object)
    several[()] = tuple(results)
    return several
