"""The operator table: one row an operator, one column a question.

>>> operator("tanh").cost
20
"""

from __future__ import annotations

import functools

import numpy as np
from numfuse.compiler.ops import elementwise, gather, library, products, random, reductions, views
from numfuse.compiler.ops.operator import Kind, Operator, same_axes

OPERATORS: dict[str, Operator] = {
    row.name: row
    for rows in (elementwise.ROWS, reductions.ROWS, views.ROWS, gather.ROWS, products.ROWS, random.ROWS, library.ROWS)
    for row in rows
}

operator = OPERATORS.__getitem__


@functools.cache
def scalar_code(op: str, *dtypes: np.dtype) -> str | None:
    """The scalar code of an elementwise operator for operands of these dtypes; None where no kernel can hold it."""
    return OPERATORS[op].code_for(dtypes)


__all__ = ["OPERATORS", "Kind", "Operator", "operator", "same_axes", "scalar_code"]
