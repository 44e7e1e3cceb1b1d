"""The elementwise rows: every NumPy ufunc that works on single elements, and the few functions that are not ufuncs.

Scalar code is a Python expression over `{0}`, `{1}`, ...: an infix or prefix operator, a conditional, or a call of a
name that every target defines (`runtime/*/functions.py`). `{zero}` and `{one}` are those numbers in the first operand's
dtype. The keys are the kinds of the operands' dtypes: `f` stands for one float operand or several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.ops.operator import Operator
from numfuse.compiler.types import Shape, Spec, broadcast, kind_of

BOOL = np.dtype(bool)


def infer_ufunc(ufunc: np.ufunc, result: int = 0) -> Callable[..., tuple[Shape, np.dtype]]:
    """Type rule of a ufunc's `result`-th output: the operands must already have the dtypes of one of its loops."""
    loops: dict[tuple[np.dtype, ...], np.dtype] = {}

    def infer(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
        dtypes = tuple([operand.dtype for operand in operands])
        if dtypes not in loops:
            resolved = ufunc.resolve_dtypes(dtypes + (None,) * ufunc.nout)
            if resolved[: ufunc.nin] != dtypes:
                told = ", ".join(map(str, dtypes))
                raise TypeError(f"{ufunc.__name__} has no loop for ({told}); cast the operands first")
            loops[dtypes] = resolved[ufunc.nin + result]
        return broadcast(*[operand.shape for operand in operands]), loops[dtypes]

    return infer


def of_ufunc(ufunc: np.ufunc, code: Mapping[str, str], cost: int = 1, name: str = "", **facts: Any) -> Operator:
    return Operator(
        name=name or ufunc.__name__,
        kind="elementwise",
        reference=ufunc,
        ufunc=ufunc,
        infer=infer_ufunc(ufunc),
        code=code,
        cost=cost,
        **facts,
    )


def part_of(ufunc: np.ufunc, result: int, name: str, code: Mapping[str, str], cost: int = 4) -> Operator:
    """A row for one of the outputs of a ufunc that has two."""
    return Operator(
        name=name,
        kind="elementwise",
        reference=lambda *operands: ufunc(*operands)[result],
        infer=infer_ufunc(ufunc, result),
        code=code,
        cost=cost,
    )


def floats(call: str) -> dict[str, str]:
    return {"f": call}


def reals(infix: str, **more: str) -> dict[str, str]:
    return {"f": infix, "i": infix, "u": infix, **more}


def numbers(infix: str, **more: str) -> dict[str, str]:
    return reals(infix, c=infix, **more)


def integers(infix: str, **more: str) -> dict[str, str]:
    return {"i": infix, "u": infix, **more}


def unary(function: str, cost: int = 20, **more: str) -> Operator:
    """A function of one float that NumPy, C and CUDA call by about the same name."""
    return of_ufunc(getattr(np, function), {**floats(f"{function}({{0}})"), **more}, cost)


def unary_complex(function: str) -> Operator:
    """One that kernels have of complex numbers too."""
    return unary(function, c=f"complex_{function}({{0}})")


COMPLEX_ORDER = {
    "less": "complex_less({0}, {1})",
    "less_equal": "complex_less_equal({0}, {1})",
    "greater": "complex_less({1}, {0})",
    "greater_equal": "complex_less_equal({1}, {0})",
}


def comparison(function: str, sign: str, code_bool: str, mixed: tuple[str, str]) -> Operator:
    """`mixed`: the code for a signed and an unsigned operand, which NumPy compares by value, and the other way round."""
    code = reals(f"{{0}} {sign} {{1}}", b=code_bool, iu=mixed[0], ui=mixed[1])
    code["c"] = COMPLEX_ORDER.get(function, f"{{0}} {sign} {{1}}")
    return of_ufunc(getattr(np, function), code, commutative=function in ("equal", "not_equal"))


def infer_where(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    test, yes, no = operands
    if test.dtype != BOOL or yes.dtype != no.dtype:
        raise TypeError("where takes a bool array and two arrays of one dtype")
    return broadcast(test.shape, yes.shape, no.shape), yes.dtype


def infer_astype(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    return operands[0].shape, params["dtype"]


def reference_astype(x: Any, dtype: np.dtype) -> Any:
    return np.real(x).astype(dtype) if x.dtype.kind == "c" and kind_of(dtype) in "iuf" else x.astype(dtype)


def infer_part(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    (operand,) = operands
    if operand.dtype.kind != "c":
        raise TypeError("takes a complex array")
    return operand.shape, np.dtype(f"f{operand.dtype.itemsize // 2}")


def infer_set_part(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    whole, part = operands
    if part.dtype != infer_part([whole], params)[1]:
        raise TypeError("takes a complex array and one of its parts' dtype")
    return broadcast(whole.shape, part.shape), whole.dtype


def set_part(name: str, code: str) -> Operator:
    """Complex numbers with another real or imaginary part: what a write to `z.real` makes."""

    def reference(z: Any, part: Any) -> Any:
        result = np.array(np.broadcast_to(z, np.broadcast_shapes(np.shape(z), np.shape(part))))
        setattr(result, name, part)
        return result

    return Operator(
        name=f"set_{name}", kind="elementwise", reference=reference, infer=infer_set_part, code={"cf": code}, cost=0
    )


def infer_integer_power(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    (operand,) = operands
    if params["exponent"] < 0 or operand.dtype.kind not in "iu":
        raise ValueError("integer_power takes integers and an exponent that is not negative")
    return operand.shape, operand.dtype


ROWS = [
    # arithmetic
    of_ufunc(
        np.add, numbers("{0} + {1}", b="{0} | {1}"), commutative=True, associative=True, neutral=-0.0, carries="iufc"
    ),
    of_ufunc(np.subtract, numbers("{0} - {1}"), neutral=0, carries="iufc"),
    of_ufunc(
        np.multiply, numbers("{0} * {1}", b="{0} & {1}"), commutative=True, associative=True, neutral=1, carries="fc"
    ),
    of_ufunc(np.true_divide, {"f": "{0} / {1}", "c": "complex_divide({0}, {1})"}, 8, neutral=1),
    of_ufunc(np.floor_divide, {"f": "floor_divide({0}, {1})", **integers("int_floor_divide({0}, {1})")}, 12),
    of_ufunc(np.remainder, {"f": "remainder({0}, {1})", **integers("int_remainder({0}, {1})")}, 12),
    of_ufunc(np.fmod, {"f": "fmod({0}, {1})", **integers("int_fmod({0}, {1})")}, 12),
    of_ufunc(
        np.power,
        {"f": "power({0}, {1})", "c": "complex_power({0}, {1})", **integers("int_power({0}, {1})")},
        40,
        neutral=1,
        refuses="i",
    ),
    of_ufunc(np.float_power, {"f": "power({0}, {1})", "c": "complex_power({0}, {1})"}, 40, neutral=1),
    Operator(
        name="integer_power",
        kind="elementwise",
        reference=lambda x, exponent: np.power(x, x.dtype.type(exponent)),
        infer=infer_integer_power,
        code=integers("int_power({0}, {exponent})"),
        cost=10,
    ),
    of_ufunc(np.negative, numbers("-{0}"), involution=True, carries="iufc"),
    of_ufunc(np.positive, numbers("{0}"), 0),
    of_ufunc(
        np.absolute,
        {"f": "absolute({0})", "i": "absolute({0})", "u": "{0}", "b": "{0}", "c": "modulus({0})"},
        idempotent=True,
    ),
    of_ufunc(np.fabs, floats("absolute({0})"), idempotent=True),
    of_ufunc(
        np.sign,
        {
            "f": "sign({0})",
            "V": "{0} if {0} == {zero} else sign({0})",
            "c": "complex_sign({0})",
            **integers("int_sign({0})"),
        },
        2,
    ),
    of_ufunc(np.square, numbers("{0} * {0}")),
    of_ufunc(np.reciprocal, {"f": "{one} / {0}", "c": "complex_reciprocal({0})", **integers("int_reciprocal({0})")}, 8),
    of_ufunc(np.conjugate, {**reals("{0}"), "c": "conjugate({0})"}, involution=True),
    of_ufunc(np.hypot, floats("hypot({0}, {1})"), 20, commutative=True),
    of_ufunc(np.gcd, integers("int_gcd({0}, {1})"), 60, commutative=True, associative=True),
    of_ufunc(np.lcm, integers("int_lcm({0}, {1})"), 60, commutative=True),
    of_ufunc(np.heaviside, floats("heaviside({0}, {1})"), 3),
    # order
    of_ufunc(
        np.maximum,
        reals("maximum({0}, {1})", b="{0} | {1}", c="complex_maximum({0}, {1})"),
        2,
        commutative=True,
        associative=True,
        idempotent=True,
    ),
    of_ufunc(
        np.minimum,
        reals("minimum({0}, {1})", b="{0} & {1}", c="complex_minimum({0}, {1})"),
        2,
        commutative=True,
        associative=True,
        idempotent=True,
    ),
    of_ufunc(
        np.fmax,
        reals("fmax({0}, {1})", b="{0} | {1}", e="half_fmax({0}, {1})", c="complex_fmax({0}, {1})"),
        2,
        commutative=True,
        associative=True,
        idempotent=True,
    ),
    of_ufunc(
        np.fmin,
        reals("fmin({0}, {1})", b="{0} & {1}", e="half_fmin({0}, {1})", c="complex_fmin({0}, {1})"),
        2,
        commutative=True,
        associative=True,
        idempotent=True,
    ),
    comparison(
        "equal", "==", "not ({0} ^ {1})", ("({0} >= 0) & (uint64({0}) == {1})", "({1} >= 0) & ({0} == uint64({1}))")
    ),
    comparison(
        "not_equal", "!=", "{0} ^ {1}", ("({0} < 0) | (uint64({0}) != {1})", "({1} < 0) | ({0} != uint64({1}))")
    ),
    comparison("less", "<", "(not {0}) & {1}", ("({0} < 0) | (uint64({0}) < {1})", "({1} >= 0) & ({0} < uint64({1}))")),
    comparison(
        "less_equal", "<=", "(not {0}) | {1}", ("({0} < 0) | (uint64({0}) <= {1})", "({1} >= 0) & ({0} <= uint64({1}))")
    ),
    comparison(
        "greater", ">", "{0} & (not {1})", ("({0} >= 0) & (uint64({0}) > {1})", "({1} < 0) | ({0} > uint64({1}))")
    ),
    comparison(
        "greater_equal",
        ">=",
        "{0} | (not {1})",
        ("({0} >= 0) & (uint64({0}) >= {1})", "({1} < 0) | ({0} >= uint64({1}))"),
    ),
    # logic and bits
    of_ufunc(
        np.logical_and, numbers("({0} != {zero}) & ({1} != {zero})", b="{0} & {1}"), commutative=True, associative=True
    ),
    of_ufunc(
        np.logical_or, numbers("({0} != {zero}) | ({1} != {zero})", b="{0} | {1}"), commutative=True, associative=True
    ),
    of_ufunc(
        np.logical_xor, numbers("({0} != {zero}) ^ ({1} != {zero})", b="{0} ^ {1}"), commutative=True, associative=True
    ),
    of_ufunc(np.logical_not, numbers("{0} == {zero}", b="not {0}")),
    of_ufunc(np.bitwise_and, integers("{0} & {1}", b="{0} & {1}"), commutative=True, associative=True, idempotent=True),
    of_ufunc(
        np.bitwise_or,
        integers("{0} | {1}", b="{0} | {1}"),
        commutative=True,
        associative=True,
        idempotent=True,
        neutral=0,
    ),
    of_ufunc(np.bitwise_xor, integers("{0} ^ {1}", b="{0} ^ {1}"), commutative=True, associative=True, neutral=0),
    of_ufunc(np.invert, integers("~{0}", b="not {0}"), involution=True),
    of_ufunc(np.left_shift, integers("int_left_shift({0}, {1})"), 3, neutral=0),
    of_ufunc(np.right_shift, integers("int_right_shift({0}, {1})"), 3, neutral=0),
    of_ufunc(np.bitwise_count, integers("bitwise_count({0})"), 2),
    # exponentials, logarithms, roots
    *[unary_complex(name) for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p")],
    unary("cbrt"),
    of_ufunc(np.sqrt, {"f": "sqrt({0})", "c": "complex_sqrt({0})"}, 8),
    of_ufunc(np.logaddexp, floats("logaddexp({0}, {1})"), 45, commutative=True),
    of_ufunc(np.logaddexp2, floats("logaddexp2({0}, {1})"), 45, commutative=True),
    # angles
    *[unary_complex(name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")],
    *[unary_complex(name) for name in ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh")],
    of_ufunc(np.arctan2, floats("arctan2({0}, {1})"), 30),
    *[of_ufunc(getattr(np, name), floats("deg2rad({0})"), 1, name) for name in ("deg2rad", "radians")],
    *[of_ufunc(getattr(np, name), floats("rad2deg({0})"), 1, name) for name in ("rad2deg", "degrees")],
    # rounding and the parts of a float
    *[
        of_ufunc(f, {"f": f"{f.__name__}({{0}})", **integers("{0}", b="{0}")}, 1, idempotent=True)
        for f in (np.floor, np.ceil, np.trunc)
    ],
    of_ufunc(np.rint, {"f": "rint({0})", "c": "complex_rint({0})"}, idempotent=True),
    of_ufunc(np.isnan, {"f": "{0} != {0}", "c": "{0} != {0}", **integers("False", b="False")}),
    of_ufunc(np.isinf, {"f": "isinf({0})", "c": "complex_isinf({0})", **integers("False", b="False")}),
    of_ufunc(np.isfinite, {"f": "isfinite({0})", "c": "complex_isfinite({0})", **integers("True", b="True")}),
    of_ufunc(np.signbit, floats("signbit({0})")),
    of_ufunc(np.copysign, floats("copysign({0}, {1})")),
    of_ufunc(np.nextafter, {"f": "nextafter({0}, {1})", "e": "half_nextafter({0}, {1})"}, 6, half=False),
    of_ufunc(np.spacing, {"f": "spacing({0})", "e": "half_spacing({0})"}, 8, half=False),
    of_ufunc(np.ldexp, {"fi": "ldexp({0}, {1})"}, 10),
    part_of(np.modf, 0, "modf_fraction", floats("modf_fraction({0})")),
    part_of(np.modf, 1, "modf_whole", floats("trunc({0})"), 1),
    part_of(np.frexp, 0, "frexp_mantissa", floats("frexp_mantissa({0})"), 8),
    part_of(np.frexp, 1, "frexp_exponent", floats("frexp_exponent({0})"), 8),
    # selection and conversion
    Operator(
        name="where",
        kind="elementwise",
        reference=np.where,
        infer=infer_where,
        code={f"b{kind}{kind}": "{1} if {0} else {2}" for kind in "biufc"},
    ),
    Operator(
        name="astype",
        kind="elementwise",
        reference=reference_astype,
        infer=infer_astype,
        code=dict.fromkeys("biufc", "cast({0})"),  # printed by the renderer, which knows both dtypes
    ),
    Operator(name="real", kind="elementwise", reference=np.real, infer=infer_part, code={"c": "{0}.real"}, cost=0),
    Operator(name="imag", kind="elementwise", reference=np.imag, infer=infer_part, code={"c": "{0}.imag"}, cost=0),
    set_part("real", "set_real({0}, {1})"),
    set_part("imag", "set_imag({0}, {1})"),
]
