"""The operator table: one row an operator, one column a question.

>>> operator("tanh").cost
20
"""

from __future__ import annotations

from numfuse.compiler.ops import elementwise, products, reductions, views
from numfuse.compiler.ops.operator import Kind, Operator, same_axes

OPERATORS: dict[str, Operator] = {
    row.name: row for rows in (elementwise.ROWS, reductions.ROWS, views.ROWS, products.ROWS) for row in rows
}

operator = OPERATORS.__getitem__

__all__ = ["OPERATORS", "Kind", "Operator", "operator", "same_axes"]
