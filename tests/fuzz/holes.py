"""Filling the holes of a statement: operands that are there, indices, axes and shapes that fit them."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.fuzz.table import Row

if TYPE_CHECKING:
    from tests.fuzz.draw import Drawing

HOLE = re.compile(r"\{(\w+)(?::([a-z]*)(\d?)(!?))?\}")
OPERANDS = ("x", "t", "w", "y", "u", "s", "m", "z")
NUMBERS = ("1", "2", "0", "0.5", "3", "-1", "2.5", "-0.75")
DTYPES = ("f8", "f4", "i4", "i8", "f2", "?", "u1", "i2", "c16", "c8")


Found = tuple[str, Any, bool]
"""An operand: its text, its value, and whether it is exact."""


class NoFit(Exception):
    """Nothing there fits a hole."""


def text_of(text: str, texts: dict[str, str]) -> str:
    """The row with its holes filled."""
    return HOLE.sub(lambda match: texts[match[1]], text)


def filled(drawing: Drawing, row: Row, wrong: bool) -> tuple[dict[str, str], dict[str, Any], bool]:
    """For each hole of the row its text; for each operand its value; and whether all of them are exact."""
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    exact = True
    focus: Any = None
    first: Found | None = None
    for match in sorted(HOLE.finditer(row.text), key=lambda match: match[1] not in ("x", "t", "w")):
        name = match[1]
        if name in texts:
            continue
        if name not in OPERANDS:
            texts[name] = FILLERS[name](drawing, focus)
            if name in ("index", "fancy") and "t" in texts:  # what is written fits the part
                with contextlib.suppress(IndexError):  # out of bounds, now and then
                    focus = eval(f"{texts['t']}[{texts[name]}]", drawing.scope)
            continue
        filler = Operand(drawing, row, match[2] or row.kinds, int(match[3] or 0), bool(match[4]), focus, first, wrong)
        texts[name], values[name], one = getattr(filler, name)()
        exact = exact and one
        if focus is None:
            focus, first = values[name], (texts[name], values[name], one)
    return texts, values, exact


class Operand:
    """An operand to be found: of some kinds of dtypes and axes, for a row, beside the first operand `focus`."""

    def __init__(
        self, drawing: Drawing, row: Row, kinds: str, ndim: int, only: bool, focus: Any, first: Any, wrong: bool
    ) -> None:
        self.drawing, self.row, self.kinds, self.ndim, self.only = drawing, row, kinds, ndim, only
        self.focus, self.first, self.wrong = focus, first, wrong

    def suits(self, value: Any) -> bool:
        if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
            return False
        axes = value.ndim == self.ndim if self.only else value.ndim >= self.ndim
        return axes and value.dtype.kind in self.kinds

    def among(self, suits: Any) -> Found:
        """A variable, or a view of one, that suits."""
        drawing = self.drawing
        found = [
            (name, known.value, known.exact)
            for name, known in drawing.known.items()
            if (known.exact or not self.row.jumps) and suits(known.value)
        ]
        if not found:
            return self.made(suits)
        name, value, exact = drawing.pick(found)
        if isinstance(value, np.ndarray) and value.ndim and drawing.chance(4):
            view = f"{name}[{index(drawing, value)}]"
            seen = eval(view, drawing.scope)
            if suits(seen):
                return view, seen, exact
        return name, value, exact

    def made(self, suits: Any) -> Found:
        """Where nothing suits as it is: something converted, or with more axes."""
        drawing = self.drawing
        changes = ["", "[None]", "[None, None]", ".ravel()", ".any()"]
        kinds = [f".astype({dtype!r})" for dtype in ("f8", "f4", "c8") if dtype[0] in self.kinds]
        texts = [
            f"{name}{change}{kind}"
            for name, known in drawing.known.items()
            if isinstance(known.value, np.ndarray)
            and (known.exact or not self.row.jumps)
            and known.value.dtype.kind != "c"
            for kind in ("", *kinds)
            for change in changes
        ]
        start = drawing.below(len(texts)) if texts else 0
        for text in [*texts[start:], *texts[:start]][:12]:
            value = eval(text, drawing.scope)
            if suits(value):
                return text, value, drawing.known[text.split(".")[0].split("[")[0]].exact
        raise NoFit("no operand")

    def x(self) -> Found:
        return self.among(self.suits)

    def z(self) -> Found:
        if self.ndim == 0 and self.drawing.chance(4):
            return self.number()
        try:
            return self.among(self.suits)
        except NoFit:
            if self.ndim == 0:
                return self.number()
            raise

    def number(self) -> Found:
        """A Python number or a NumPy scalar."""
        drawing = self.drawing
        known = [name for name, one in drawing.known.items() if isinstance(one.value, (int, float)) and one.exact]
        if known and drawing.chance(2):
            name = drawing.pick(known)
            text = name
        elif drawing.chance(4):
            text = f"np.{drawing.pick(('float32', 'int8', 'float64', 'int64', 'uint8', 'float16', 'bool_'))}({drawing.pick((1, 2, 0))})"
        else:
            text = drawing.pick(NUMBERS[:4] if "f" in self.kinds else NUMBERS[:3])
        value = eval(text, drawing.scope)
        kind = np.asarray(value).dtype.kind
        if kind not in self.kinds and not (kind in "bi" and "f" in self.kinds):
            raise NoFit("no number")
        return text, value, True

    def y(self) -> Found:
        """An operand that broadcasts with the first one."""
        if self.drawing.chance(4):
            return self.number()
        try:
            return self.among(
                lambda value: self.suits(value) and (self.wrong or _broadcast(value, self.focus) is not None)
            )
        except NoFit:
            return self.number()

    def u(self) -> Found:
        """An operand that broadcasts into the first one's shape."""
        if self.drawing.chance(4):
            return self.number()
        shape = np.shape(self.focus)
        try:
            return self.among(
                lambda value: self.suits(value) and (self.wrong or _broadcast(value, self.focus) == shape)
            )
        except NoFit:
            return self.number()

    def s(self) -> Found:
        if not isinstance(self.focus, (np.ndarray, np.generic)):
            raise NoFit("no operand")
        try:
            return self.among(lambda value: self.suits(value) and (self.wrong or value.shape == self.focus.shape))
        except NoFit:
            if self.wrong or self.suits(self.focus):
                return self.first
            raise

    def m(self) -> Found:
        shape = np.shape(self.focus)
        known = self.drawing.known.items()
        found = [
            name
            for name, one in known
            if isinstance(one.value, np.ndarray) and one.value.dtype.kind == "b" and one.value.shape == shape
        ]
        if found:
            name = self.drawing.pick(found)
            return name, self.drawing.scope[name], True
        text, _, exact = self.first
        if not exact or not isinstance(self.focus, np.ndarray):
            raise NoFit("no mask")
        text = f"({text} != 0)"
        return text, eval(text, self.drawing.scope), True

    def writable(self) -> list[str]:
        return [
            name
            for name, known in self.drawing.known.items()
            if isinstance(known.value, np.ndarray) and known.value.flags.writeable and self.suits(known.value)
            if known.exact or not self.row.jumps
        ]

    def t(self) -> Found:
        names = self.writable()
        if not names:
            raise NoFit("nothing to write to")
        name = self.drawing.pick(names)
        known = self.drawing.known[name]
        return name, known.value, known.exact

    def w(self) -> Found:
        name, value, exact = self.t()
        kind = self.drawing.pick(("index", "T", "reverse", "name")) if value.ndim else "name"
        text = {
            "index": f"{name}[{index(self.drawing, value)}]",
            "T": f"{name}.T",
            "reverse": f"{name}[::-1]",
            "name": name,
        }[kind]
        seen = eval(text, self.drawing.scope)
        return (text, seen, exact) if isinstance(seen, np.ndarray) else (name, value, exact)


def _broadcast(value: Any, focus: Any) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(np.shape(value), np.shape(focus))
    except ValueError:
        return None


# -- what fits a shape ---------------------------------------------------------------------------------------------------


def index(drawing: Drawing, focus: Any) -> str:
    """A basic index."""
    shape = np.shape(focus)
    if not shape:
        return drawing.pick(("...", "()"))
    count = drawing.pick((len(shape), 1, len(shape)))
    last = drawing.chance(8)
    parts = []
    for extent in shape[-count:] if last else shape[:count]:
        parts.append(
            drawing.pick(
                (
                    ":",
                    "1:",
                    "::-1",
                    ":-1",
                    "::2",
                    "1:-1",
                    "-1" if extent else ":",
                    "0" if extent else ":",
                    "::-2",
                    "1:2",
                )
            )
        )
    if len(shape) < 4 and drawing.chance(8):
        parts.insert(drawing.below(len(parts) + 1), "None")
    if last:
        parts.insert(0, "...")
    elif drawing.chance(12):
        parts.append("...")
    return ", ".join(parts)


def places(drawing: Drawing, focus: Any, axis: int = 0, shape: tuple[int, ...] | None = None) -> str:
    """Integers that name elements along an axis: constants or computed, of the shape that is given. Now and then one is out of bounds."""
    if not np.ndim(focus):
        raise NoFit("no axis")
    extent = np.shape(focus)[axis]
    computed = [
        (f"{name} % {extent}", name)
        if known.value.dtype.kind == "u"
        else (f"{name} % {extent}", f"-1 - {name} % {extent}", f"{extent - 1} - {name} % {extent}", name)
        for name, known in drawing.known.items()
        if isinstance(known.value, np.ndarray) and known.value.dtype.kind in "iu" and known.value.size <= 24
        if known.value.ndim <= 2 and (shape is None or known.value.shape == shape)
        if np.iinfo(known.value.dtype).max > extent
    ]
    if computed and extent and not drawing.chance(3):
        return f"({drawing.pick(drawing.pick(computed)[: None if drawing.chance(16) else -1])})"
    if shape is None:
        shape = drawing.pick(((2,), (3,), (5,), (1,), (2, 2), (3, 1), (0,)))
    if not extent and 0 not in shape:
        raise NoFit("no element")
    if shape == (extent,) and drawing.chance(2):
        return f"np.arange({extent})[::-1]"
    low, high = -extent, extent + drawing.chance(40)
    text = str(
        np.array([drawing.pick(range(low, high)) for _ in range(int(np.prod(shape)))], int).reshape(shape).tolist()
    )
    return f"np.array({text}, 'i8')" if 0 in shape or drawing.chance(2) else text


def fancy(drawing: Drawing, focus: Any) -> str:
    """An index with arrays of integers, beside slices, integers, and masks that are constant."""
    extents = np.shape(focus)
    if not extents:
        raise NoFit("no axis")
    count = drawing.pick(range(1, len(extents) + 1))
    chosen = drawing.below(count)
    shape: tuple[int, ...] | None = None
    parts: list[str] = []
    for axis in range(count):
        if axis == chosen and drawing.chance(6):
            parts.append(str([bool(drawing.below(2)) for _ in range(extents[axis])]) if extents[axis] else ":")
            shape = (parts[-1].count("True"),)
        elif axis == chosen or drawing.chance(3):
            parts.append(places(drawing, focus, axis, shape))
            shape = np.shape(eval(parts[-1], drawing.scope))
        else:
            parts.append(drawing.pick((":", "1:", "::-1", *["0", "-1"] * bool(extents[axis]))))
    if drawing.chance(8):
        parts.insert(drawing.below(len(parts) + 1), drawing.pick(("None", "...")))
    return ", ".join(parts)


def places_along(drawing: Drawing, focus: Any) -> str:
    """The two arguments of `take`: places and an axis."""
    if not np.ndim(focus):
        raise NoFit("no axis")
    chosen = int(axis(drawing, focus))
    return f"{places(drawing, focus, chosen)}, {chosen}"


def axis(drawing: Drawing, focus: Any) -> str:
    ndim = np.ndim(focus)
    if not ndim:
        raise NoFit("no axis")
    return str(drawing.pick(range(-ndim, ndim)))


def axes(drawing: Drawing, focus: Any) -> str:
    ndim = np.ndim(focus)
    if not ndim or drawing.chance(3):
        return "None"
    if ndim > 1 and drawing.chance(3):
        first = drawing.pick(range(ndim))
        return str((first, (first + 1) % ndim))
    return axis(drawing, focus)


def perm(drawing: Drawing, focus: Any) -> str:
    left = list(range(np.ndim(focus)))
    return str(tuple(left.pop(drawing.below(len(left))) for _ in range(len(left))))


def shape(drawing: Drawing, focus: Any) -> str:
    """Another shape of as many elements."""
    size = np.size(focus)
    options: list[tuple[int, ...]] = [(size,), (-1,), (size, 1), (1, size), tuple(reversed(np.shape(focus)))]
    options += [(n, size // n) for n in (2, 3, 5) if size and not size % n] + [(0, 3)] * (not size)
    if not size:
        options.remove((-1,))
    return str(drawing.pick(options))


FILLERS = {
    "index": index,
    "axis": axis,
    "axes": axes,
    "perm": perm,
    "places": places,
    "fancy": fancy,
    "along": places_along,
    "shape": shape,
    "keep": lambda drawing, focus: drawing.pick(("False", "True")),
    "n": lambda drawing, focus: drawing.pick(("1", "2", "0", "3")),
    "k": lambda drawing, focus: drawing.pick(("1", "-1", "2", "-3", "0")),
    "number": lambda drawing, focus: drawing.pick(NUMBERS),
    "dtype": lambda drawing, focus: repr(drawing.pick(DTYPES)),
    "extents": lambda drawing, focus: str(drawing.extents()),
    "new": lambda drawing, focus: drawing.new(),
    "new2": lambda drawing, focus: drawing.new(),
}
