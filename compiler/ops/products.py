"""Contractions, which are library calls, and the nodes that the compiler itself makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.ops.operator import Operator
from numfuse.compiler.types import Shape, Spec, broadcast

_matmul_dtype: dict[tuple[np.dtype, np.dtype], np.dtype] = {}


def infer_matmul(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    a, b = operands
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ValueError("matmul takes arrays of two or more axes; reshape vectors first")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (n?,k),(k,m?)->(n?,m?) "
            f"(size {b.shape[-2]} is different from {a.shape[-1]})"
        )
    pair = (a.dtype, b.dtype)
    if pair not in _matmul_dtype:
        if a.dtype != b.dtype:
            raise TypeError("matmul takes two arrays of one dtype")
        _matmul_dtype[pair] = np.matmul.resolve_dtypes((*pair, None))[2]
    return (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), _matmul_dtype[pair]


def infer_fused(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    body = params["body"]
    if [node.spec for node in body.inputs] != list(operands):
        raise ValueError("a fused node's operands must match the inputs of its body")
    if len(body.outputs) > 1:
        return (), np.dtype(bool)  # several results: each is read through a `get` node
    return body.outputs[0].shape, body.outputs[0].dtype


def reference_fused(*operands: Any, body: Any, rows: Any) -> Any:
    results = body.evaluate(*operands)
    if len(results) == 1:
        return results[0]
    several = np.empty((), object)
    several[()] = results
    return several


def infer_get(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    return params["shape"], params["dtype"]


ROWS = [
    Operator(name="matmul", kind="contraction", reference=np.matmul, infer=infer_matmul, cost=2),
    Operator(name="fused", kind="structure", reference=reference_fused, infer=infer_fused),
    Operator(
        name="get",
        kind="structure",
        reference=lambda several, result, shape, dtype: several[()][result],
        infer=infer_get,
        cost=0,
    ),
]
