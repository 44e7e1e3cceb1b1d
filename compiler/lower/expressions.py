"""Scalar expressions as Python text: operators by their scalar code, indices, constants, names."""

from __future__ import annotations

import ast
import functools
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.index import Axis, Element, Floor, Index, Mod, Test
from numfuse.compiler.kernel import Kernel, Value
from numfuse.compiler.ops import OPERATORS, scalar_code
from numfuse.compiler.types import ML_DTYPES, NARROW

ATOM = 13
_PRECEDENCE: dict[type, int] = {
    ast.IfExp: 1, ast.Not: 3, ast.Compare: 4, ast.BitOr: 5, ast.BitXor: 6, ast.BitAnd: 7, ast.LShift: 8, ast.RShift: 8,
    ast.Add: 9, ast.Sub: 9, ast.Mult: 10, ast.Div: 10, ast.FloorDiv: 10, ast.Mod: 10, ast.USub: 11, ast.Invert: 11,
}  # fmt: skip
NUMPY_NAMES = {"b": "bool_", "i": "int", "u": "uint", "f": "float", "c": "complex"}


@dataclass(frozen=True)
class Text:
    """An expression and how tightly it binds."""

    text: str
    binds: int = ATOM

    def at_least(self, binds: int) -> str:
        return self.text if self.binds >= binds else f"({self.text})"


@dataclass(frozen=True)
class Template:
    """Scalar code, cut at its placeholders: each with the precedence that its operand must have."""

    parts: tuple[tuple[str, str, int], ...]
    tail: str
    binds: int
    widens: bool
    """Whether Numba computes it in 64 bits, whatever the integers' size."""
    repeated: frozenset[int]


@functools.cache
def template(code: str) -> Template:
    """Reads a row's scalar code: which operand stands where, and where it needs parentheses."""
    names = re.sub(r"\{(\w+)\}", r"operand_\1", code)
    top: Any = ast.parse(names, mode="eval").body
    sign = getattr(top, "op", top)
    binds = _PRECEDENCE.get(type(sign), ATOM)
    infix = (
        re.fullmatch(
            r"\{0\} \S+ \{1\}|[-~]\{0\}|not \{0\}|\{1\} if \{0\} else \{2\}|\{\w+\} \S+ \{0\}|\{0\} \* \{0\}", code
        )
        is not None
    )
    parts, found, end = [], [], 0
    for match in re.finditer(r"\{(\w+)\}", code):
        enclosed = code[: match.start()].rstrip()[-1:] in ("(", ",") and code[match.end() :].lstrip()[:1] in (")", ",")
        needs = 0 if enclosed else ATOM
        if infix:
            chains = (match.start() == 0 and isinstance(top, ast.BinOp)) or isinstance(top, ast.UnaryOp)
            needs = binds if chains else binds + 1
        parts.append((code[end : match.start()], match.group(1), needs))
        found.append(match.group(1))
        end = match.end()
    repeated = frozenset(int(name) for name in found if found.count(name) > 1 and name.isdigit())
    wraps = (isinstance(top, (ast.BinOp, ast.UnaryOp)) and not isinstance(sign, ast.Not)) or code.startswith("int_")
    return Template(tuple(parts), code[end:], binds, wraps, repeated)


@functools.cache
def scalar_type(dtype: np.dtype) -> str:
    """The name that converts to `dtype` in a kernel; narrow floats live in float32 registers."""
    if dtype in NARROW:
        return "float32"
    return "bool_" if dtype.kind == "b" else dtype.name


def tile_type(dtype: np.dtype) -> str:
    """The element type of a thread's own memory for values of `dtype`: bools are bytes there too."""
    return "uint8" if dtype.kind == "b" else scalar_type(dtype)


def from_tile(element: str, dtype: np.dtype) -> Text:
    return Text(f"{element} != 0", 4) if dtype.kind == "b" else Text(element)


def to_tile(text: str, dtype: np.dtype) -> str:
    """A value as an element of such memory."""
    if dtype.kind != "b":
        return text
    return f"uint8({ {'True': '1', 'False': '0'}.get(text, text) })"


def literal(value: Any, dtype: np.dtype) -> Text:
    """A constant in its dtype: a bare literal would be int64 or float64 and would draw the whole expression there."""
    if dtype.kind == "b":
        return Text(str(bool(value)))
    if dtype.kind in "iu":
        digits = Text(str(int(value)), ATOM if value >= 0 else _PRECEDENCE[ast.USub])
        return digits if dtype == np.int64 else Text(f"{scalar_type(dtype)}({digits.text})")
    if dtype.kind == "c":
        return Text(f"{dtype.name}({_digits(value.real, dtype)} + {_digits(value.imag, dtype)} * 1j)")
    digits = Text(_digits(value, dtype), _PRECEDENCE[ast.USub] if np.signbit(value) else ATOM)
    return digits if dtype == np.float64 else Text(f"{scalar_type(dtype)}({digits.text})")


@functools.lru_cache(4096)
def literal_of_bytes(contents: bytes, dtype: np.dtype) -> Text:
    """`literal` of the number that lies so in memory: unrolled loops print the same few again and again, and 0.0 equals -0.0."""
    return literal(np.frombuffer(contents, dtype)[0], dtype)


def initial(value: Any, dtype: np.dtype) -> str:
    """What an accumulator starts from: as `literal`, but float64 and int64 by name too, so that plain Python divides it as NumPy does, and wraps around."""
    if dtype == np.int64:
        return f"int64({int(value)})"
    return f"float64({_digits(value, dtype)})" if dtype == np.float64 else literal(value, dtype).text


def _digits(value: Any, dtype: np.dtype) -> str:
    number = float(value)
    if number != number:
        return "nan"
    if number in (float("inf"), float("-inf")):
        return "inf" if number > 0 else "-inf"
    if dtype.itemsize == (8 if dtype.kind == "c" else 4):
        return _shorter(str(np.float32(value)), number)
    return repr(number)


def _shorter(text: str, number: float) -> str:
    return text if "e" in text or "." in text else repr(number)


def cast(text: Text, source: np.dtype, target: np.dtype) -> Text:
    """Conversion as `ndarray.astype` does it."""
    if source == target:
        return text
    if target.kind == "b":
        return Text(f"{text.at_least(5)} != {literal(source.type(0), source).text}", 4)
    if source.kind == "c" and target.kind != "c":
        text = Text(f"{text.at_least(ATOM)}.real")
        source = np.dtype(f"f{source.itemsize // 2}")
    if target in NARROW:  # ml_dtypes rounds float64 by way of float32, NumPy at once
        exact = source in NARROW or source == np.float32 or (source.kind == "f" and target == np.float16)
        return Text(f"{NARROW[target]}({text.text})" if exact else f"{NARROW[target]}(float32({text.text}))")
    if source in NARROW and target == np.float32:
        return text
    return Text(f"{scalar_type(target)}({text.text})")


class Names:
    """Distinct Python names: the wanted one where it is free."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.taken = {*reserved, *keyword.kwlist}

    def new(self, wanted: str, *, numbered: bool = False) -> str:
        wanted = re.sub(r"\W", "_", wanted) or "value"
        number = 1
        name = f"{wanted}_1" if numbered else wanted
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name


RESERVED = frozenset(
    {
        *OPERATORS, "range", "min", "max", "abs", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
        "uint64", "bool_", "complex64", "complex128", "inf", "nan", "lo", "hi", "local", "shared", "fold_add", "fold_multiply", "opaque",
        "thread", "wide_thread", "thread_in_block", "block", "barrier", "unrolled", "rolled", "stream", "past_line", "store_fence", "turn", "product_tile",
        *(f"{way}_{n}" for way in ("load", "store") for n in (2, 4, 8, 16)),
        *(f"{team}_{row.combine}" for team in ("warp", "block", "column") for row in OPERATORS.values() if row.combine),
        *(f"{way}{name}" for way in ("", "to_", "from_") for name in ("half", *ML_DTYPES)),
        *re.findall(r"[a-z_]\w+(?=\()", " ".join(code for row in OPERATORS.values() for code in row.code.values())),
    }
)  # fmt: skip


class Expressions:
    """Prints values and indices of one kernel. `axis_text` says how each loop is called, and may be changed on the way, and
    `element_text` what the elements of arrays in the index at hand are."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.axis_text: dict[int, Text] = {}
        self.element_text: dict[Element, Text] = {}
        self.fixed: Mapping[Axis, Index] = {}
        """The axes that are at a known step, where a loop is cut."""

    def index(self, index: Index) -> Text:
        """`1024 * i + j + 1`, the largest step first; axes that are walked with a later one are left out."""
        terms: list[tuple[int, Text]] = []
        index = self.at_step(index) if self.fixed else index
        for atom, coef in index.terms:
            if isinstance(atom, Axis):
                loop = self.kernel.collapsed[atom]
                if loop.number != atom.number:
                    continue
                terms.append((coef, self.axis_text[loop.number]))
            elif isinstance(atom, Element):
                terms.append((coef, self.element_text[atom]))
            else:
                terms.append((coef, self._part(atom)))
        terms.sort(key=lambda term: -abs(term[0]))
        if not terms:
            return Text(str(index.const), ATOM if index.const >= 0 else 11)
        text = ""
        for coef, part in terms:
            if abs(coef) != 1:
                times = f"{abs(coef)} * {part.at_least(11)}"
            else:
                times = part.at_least(9 if coef > 0 else 10 if text else 11)  # a sign in front binds tighter than %
            sign = "-" if coef < 0 else "+"
            text = f"{text} {sign} {times}" if text else (f"-{times}" if coef < 0 else times)
        if index.const:
            text += f" {'-' if index.const < 0 else '+'} {abs(index.const)}"
        only = len(terms) == 1 and not index.const
        binds = 9 if not only else terms[0][1].binds if terms[0][0] == 1 else 10
        return Text(text, binds)

    def at_step(self, index: Index) -> Index:
        """The index at the steps that are known."""
        result = Index(index.const)
        for atom, coef in index.terms:
            if isinstance(atom, Floor):
                part = self.at_step(atom.inner) // atom.n
            elif isinstance(atom, Mod):
                part = self.at_step(atom.inner) % atom.n
            else:
                part = (
                    self.fixed.get(atom, Index(0, ((atom, 1),))) if isinstance(atom, Axis) else Index(0, ((atom, 1),))
                )
            result = result + part * coef
        return result

    def _part(self, atom: Floor | Mod) -> Text:
        inner = self.index(atom.inner)
        return Text(f"{inner.at_least(10)} {'//' if isinstance(atom, Floor) else '%'} {atom.n}", 10)

    def test(self, test: Test) -> str:
        """A condition, only the sides of it that may fail."""
        low, high = test.index.bounds
        text = self.index(test.index).at_least(5)
        # moved to the other side, a constant is easier to read: `i >= 1`, not `i - 1 >= 0`
        shift = test.index.const
        moved = self.index(test.index - shift).at_least(5) if test.index.terms else text
        if not test.index.terms:
            shift = 0
        parts = []
        if low < test.low and high >= test.high:
            parts.append(f"{test.low - shift} <= {moved} < {test.high - shift}")
        elif low < test.low:
            parts.append(f"{moved} >= {test.low - shift}")
        elif high >= test.high:
            parts.append(f"{moved} < {test.high - shift}")
        if test.step != 1:
            parts.append(f"{self.index(test.index).at_least(11)} % {test.step} == 0")
        return " and ".join(parts)

    def apply(self, value: Value, args: list[Text]) -> Text:
        """An operator applied to operands that are text already."""
        node = value.node
        assert node is not None
        dtypes = [arg.dtype for arg in value.args]
        if node.op == "astype":
            return cast(args[0], dtypes[0], value.dtype)
        shape = template(scalar_code(node.op, *dtypes) or "")
        texts = []
        for before, name, needs in shape.parts:
            texts.append(before)
            if name.isdigit():
                texts.append(args[int(name)].at_least(needs))
            elif name in ("zero", "one"):
                texts.append(literal(dtypes[0].type(name == "one"), dtypes[0]).text)
            else:
                texts.append(str(node.params[name]))
        text = Text("".join(texts) + shape.tail, shape.binds)
        if value.dtype in NARROW and node.op != "where":
            return Text(f"{NARROW[value.dtype]}({text.text})")
        if shape.widens and value.dtype.kind in "iu" and value.dtype.itemsize < 8:
            return Text(f"{value.dtype.name}({text.text})")
        return text

    @staticmethod
    def repeats(value: Value) -> frozenset[int]:
        """The operands that the scalar code mentions more than once: they need a name."""
        assert value.node is not None
        if value.node.op == "astype":
            return frozenset()
        return template(scalar_code(value.node.op, *[arg.dtype for arg in value.args]) or "").repeated
