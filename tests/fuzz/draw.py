"""Drawing programs: each statement runs with NumPy as it is drawn, so that the next ones fit the shapes and dtypes there are."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.fuzz.data import CONTENTS, LAYOUTS
from tests.fuzz.holes import HOLE, NoFit, filled, text_of
from tests.fuzz.program import NAMES, Program, Statement, names_in
from tests.fuzz.table import GROUPS, Row

DTYPES = ("f8", "f4", "f8", "f4", "i8", "i4", "?", "u1", "f2", "c16", "i2", "u4", "i1", "u8", "c8", "u2")
EXTENTS = (3, 2, 4, 1, 5, 0, 7)
LONG = (33, 130, 300)
TRIES = 3
"""Rows that are tried until one finds operands."""
MOST_ELEMENTS = 400
BITS = {2: 11, 4: 24, 8: 53}


@dataclass
class Known:
    """A variable while drawing: its value with NumPy, and whether numfuse's is the same to the last bit."""

    value: Any
    exact: bool = True


@dataclass
class Tally:
    """What became of the draws."""

    programs: int = 0
    statements: int = 0
    dropped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


TALLY = Tally()


class Drawing:
    """One program as it grows."""

    def __init__(self, random: Random, long: bool) -> None:
        self.random = random
        self.long = long
        self.known: dict[str, Known] = {}
        self.scope: dict[str, Any] = dict(NAMES)
        self.arguments: list[tuple[str, str]] = []
        self.statements: list[Statement] = []
        self.count = 0

    def pick(self, options: Any) -> Any:
        return self.random.choice(options)

    def below(self, count: int) -> int:
        return self.random.randrange(count)

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == 0

    # -- arguments ---------------------------------------------------------------------------------------------------

    def argument(self) -> None:
        name = f"x{len(self.arguments)}"
        arrays = [
            other for other, known in self.known.items() if isinstance(known.value, np.ndarray) and known.value.ndim
        ]
        if self.chance(6):
            source = self.pick(("3", "-2", "0.5", "2.0", "1j", "True", "1", "0"))
        elif self.chance(10):
            source = f"scalar({self.pick(DTYPES)!r}, {self.below(100)})"
        elif arrays and self.chance(8):
            source = self.pick(arrays) + self.pick(("", "", "[1:]", ".T", "[::-1]", "[...]"))
        else:
            shape = self.extents()
            dtype, seed = self.pick(DTYPES), self.below(100)
            contents = self.pick(("tame", "tame", "tame", *CONTENTS))
            source = f"array({dtype!r}, {shape}, {seed}, {contents!r}, {self.pick(('C', 'C', *LAYOUTS))!r})"
        self.arguments.append((name, source))
        self.scope[name] = eval(source, self.scope)
        self.known[name] = Known(self.scope[name])

    def extents(self) -> tuple[int, ...]:
        """A shape, more often than not one that is there already, or a part of one."""
        shapes = [known.value.shape for known in self.known.values() if isinstance(known.value, np.ndarray)]
        if shapes and not self.chance(3):
            shape = self.pick(shapes)
            return shape if self.chance(2) else shape[1:]
        if self.long and self.chance(8):
            return (self.pick(LONG),)
        return tuple(self.pick(EXTENTS) for _ in range(self.pick((2, 1, 2, 3, 0, 1, 2, 4))))

    # -- statements --------------------------------------------------------------------------------------------------

    def statement(self) -> bool:
        """Draws one and runs it; False where the program ends with it."""
        TALLY.statements += 1
        wrong = self.chance(20)  # operands of any shape and kind, so that NumPy raises now and then
        for _ in range(TRIES):
            row = self.pick(GROUPS[self.pick(WEIGHTED)][1])
            try:
                texts, values, exact = filled(self, row, wrong)
                break
            except NoFit as refusal:
                reason = f"{row.text}: {refusal}"
        else:
            return self.drop(reason)
        text = text_of(row.text, texts)
        if _is_expression(row.text):
            texts["new"] = self.new()
            text = f"{texts['new']} = {text}"
        target = texts.get("t") or texts.get("w") or ""
        made = [texts[name] for name in ("new", "new2") if name in texts]
        if not _casts_well(row, texts, values, self.scope):
            return self.drop(f"{row.text}: a cast out of range")
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                exec(text, self.scope)
        except Exception as error:
            if wrong and not isinstance(error, SyntaxError):  # `1.sum()`
                self.statements.append(Statement(text))
                return False
            for name in made:
                self.scope.pop(name, None)
            self.drop(f"{row.text}: {type(error).__name__} {str(error)[:60]}")
            return not (row.writes or "\n" in text)  # it may have written a part
        if not all(_fits(self.scope[name]) for name in made):
            for name in made:
                self.scope.pop(name)
            return self.drop(f"{row.text}: too large, or no array")
        rounds = (
            row.rounds
            or wrong
            or (row.sums and not _exact_sums(list(values.values()), row.group in ("products", "contractions")))
        )
        exact = exact and not rounds
        self.statements.append(Statement(text, " ".join([*made, *sorted(names_in(target))]), rounds))
        for name in made:
            self.known[name] = Known(self.scope[name], exact or np.asarray(self.scope[name]).dtype.kind in "biu")
        if not exact:
            self.spoil([*made, *names_in(target)])
        for name in names_in(target):  # `v3 += 1` binds a scalar's name anew
            self.known[name].value = self.scope[name]
        return True

    def spoil(self, names: list[str]) -> None:
        """What shares memory with the named variables is not exact any more."""
        for name in names:
            value = self.scope[name]
            for known in self.known.values():
                if known.value is value or (
                    isinstance(value, np.ndarray)
                    and isinstance(known.value, np.ndarray)
                    and np.may_share_memory(value, known.value)
                ):
                    known.exact = np.asarray(known.value).dtype.kind in "biu"

    def new(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def drop(self, reason: str) -> bool:
        TALLY.dropped += 1
        TALLY.reasons[reason] += 1
        return True


WITHOUT_VALUE = re.compile(r"\.fill\(|copyto\(|\.at\(|\bput|\.place\(|fill_diagonal|\.sort\(\)|\.partition\(\d\)")
WEIGHTED = [group for group, (weight, _) in GROUPS.items() for _ in range(weight)]


@cache
def _is_expression(row: str) -> bool:
    """Whether a row has a value, and no statement in it."""
    if WITHOUT_VALUE.search(row):
        return False
    return isinstance(ast.parse(HOLE.sub("name", row)).body[0], ast.Expr)


def _fits(value: Any) -> bool:
    if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
        return True
    return (
        isinstance(value, (np.ndarray, np.generic))
        and value.size <= MOST_ELEMENTS
        and value.ndim <= 5
        and value.dtype.kind in "biufc"
    )


def _casts_well(row: Row, texts: dict[str, str], values: dict[str, Any], scope: dict[str, Any]) -> bool:
    """Whether no float is converted to an integer that cannot hold it, which C leaves undefined."""
    kinds = []
    if "astype" in row.text or "dtype=" in row.text:
        found = re.search(r"(?:astype\(|dtype=|, )'(\w+|\?)'", text_of(row.text, texts))
        kinds = [np.dtype(found[1])] if found else []
    target = values.get("t", values.get("w"))
    if target is not None:
        kinds.append(np.asarray(target).dtype)
    for dtype in kinds:
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            for value in values.values():
                value = np.asarray(value)
                if value.dtype.kind == "c":
                    return False
                if value.dtype.kind == "f" and not (
                    np.isfinite(value).all() and (value > limits.min - 1.0).all() and (value < limits.max).all()
                ):
                    return False
                if value.dtype.kind == "f" and dtype.kind == "u" and (value < 0).any():
                    return False
    return True


def _exact_sums(operands: list[Any], products: bool) -> bool:
    """Whether the operands' elements are eighths, and so few and small that their sums are exact in any order."""
    most, bits, count = 1.0, 53, 1
    for operand in operands:
        value = np.asarray(operand)
        if value.dtype.kind not in "fc" or not value.size:
            count = max(count, value.size)
            if value.dtype.kind in "iu" and value.size:
                most *= max(1.0, float(np.abs(value.astype("f8")).max())) if products else 1.0
            continue
        parts = np.asarray([value.real, value.imag], "f8")
        if not np.isfinite(parts).all() or (parts * 8 != np.round(parts * 8)).any():
            return False
        size = value.dtype.itemsize // (2 if value.dtype.kind == "c" else 1)
        largest = max(1.0, 8 * float(np.abs(parts).max()))
        most = most * largest * largest if products else max(most, largest)
        count, bits = max(count, value.size), min(bits, BITS[size])
    return most * count < 2.0**bits


def drawn(random: Random, most: int, long: bool) -> Program:
    TALLY.programs += 1
    drawing = Drawing(random, long)
    for _ in range(1 + drawing.below(4)):
        drawing.argument()
    for _ in range(1 + drawing.below(most)):
        wrong = not drawing.statement()
        if wrong:
            break
    made = [name for name in drawing.known if name.startswith("v")] or list(drawing.known)
    results = dict.fromkeys([made[-1], *[drawing.pick(list(drawing.known)) for _ in range(drawing.below(3))]])
    return Program(tuple(drawing.arguments), tuple(drawing.statements), tuple(results), wrong)


def programs(most: int = 30, long: bool = True) -> st.SearchStrategy[Program]:
    """Programs of 1 to `most` statements. `long`: some arrays have some hundred elements.

    Hypothesis draws a generator for each, and no single choices: a program that fails is cut down as text (`program.cut_down`).
    """
    return st.randoms(use_true_random=True).map(lambda random: drawn(random, most, long))
