"""The operator table: no row lacks what its kind needs, and every NumPy ufunc has a row."""

from __future__ import annotations

import numpy as np
import pytest
from numfuse.compiler.lower.expressions import template
from numfuse.compiler.ops import OPERATORS
from numfuse.compiler.trace.ufuncs import _PRODUCTS, PARTS, REDUCTIONS, ROW_OF
from numfuse.runtime.reference import NAMES

UFUNCS = {value for value in vars(np).values() if isinstance(value, np.ufunc)}


@pytest.mark.parametrize("name", OPERATORS)
def test_no_column_is_missing(name: str) -> None:
    row = OPERATORS[name]
    assert row.name == name and callable(row.reference) and callable(row.infer) and row.cost >= 0
    if row.kind == "elementwise":
        assert row.code
    if row.kind in ("view", "guarded"):
        assert row.pull is not None
    if row.kind == "reduction" and not name.startswith("arg"):
        assert row.combine in OPERATORS and row.identity is not None


@pytest.mark.parametrize("name", [name for name, row in OPERATORS.items() if row.code and name != "astype"])
def test_scalar_code_calls_what_targets_define(name: str) -> None:
    for code in OPERATORS[name].code.values():
        text = template(code)
        called = {
            part.rsplit(maxsplit=1)[-1].strip("(")
            for part, _, _ in text.parts
            if part.endswith("(") and part[:-1].isidentifier()
        }
        assert called <= NAMES.keys()


def test_every_ufunc_of_numpy_has_a_row() -> None:
    covered = {*ROW_OF, *PARTS, *_PRODUCTS}
    assert UFUNCS - covered == {np.isnat}, "isnat is for datetimes, which kernels do not hold"


@pytest.mark.parametrize("ufunc", REDUCTIONS, ids=lambda ufunc: ufunc.__name__)
def test_identities_leave_values_alone(ufunc: np.ufunc) -> None:
    row = OPERATORS[REDUCTIONS[ufunc]]
    assert row.identity is not None
    for char in "?bhilBHILefd":
        dtype = np.dtype(char)
        try:
            row.infer([type("S", (), {"shape": (2,), "dtype": dtype})], {"axis": (0,)})
        except TypeError:
            continue
        combine = OPERATORS[row.combine].reference
        for value in (dtype.type(0), dtype.type(1)):
            assert combine(row.identity(dtype), value) == value, (ufunc, dtype)


@pytest.mark.parametrize("name", [name for name, row in OPERATORS.items() if row.neutral is not None])
def test_neutral_operands_are_neutral(name: str) -> None:
    row = OPERATORS[name]
    for char in "bBld":
        values = np.array([0, 1, 3, 100], char) if char != "d" else np.array([0.0, -0.0, 1.5, -np.inf, np.nan])
        try:
            result = row.reference(values, values.dtype.type(row.neutral))
        except TypeError:
            continue
        if result.dtype == values.dtype:
            assert result.tobytes() == values.tobytes()


def test_facts_hold_on_samples(rng: np.random.Generator) -> None:
    x, y, z = (rng.integers(1, 50, 200).astype("i8") for _ in range(3))
    for name, row in OPERATORS.items():
        if row.ufunc is None or row.ufunc.nin != 2 or not row.code.get("i"):
            continue
        f = row.reference
        if row.commutative:
            np.testing.assert_array_equal(f(x, y), f(y, x), err_msg=name)
        if row.associative:
            np.testing.assert_array_equal(f(f(x, y), z), f(x, f(y, z)), err_msg=name)
        if row.idempotent:
            np.testing.assert_array_equal(f(x, x), x, err_msg=name)
