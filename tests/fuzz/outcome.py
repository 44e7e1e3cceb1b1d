"""What a program gives, by NumPy or by numfuse, and whether two outcomes are the same.

Values are equal bit for bit, up to the sign of zeros, unless a step of the program rounds in an order of its own (sums, `exp`). How far such a
program's results may then be off is asked of NumPy itself: it runs again a few times, with what goes into such steps and comes out of them
moved by some units in the last place. Where integers or bools change, the program decides by rounding errors, and is `IllConditioned`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fuzz.program import NAMES, Program, names_in

RUNS = 6
UNITS = {2: 4, 4: 64, 8: 32}
ERRORS = (IndexError, OverflowError, ZeroDivisionError, ValueError, TypeError, AttributeError)


class IllConditioned(Exception):
    """A program whose integers depend on rounding errors."""


@dataclass
class Outcome:
    """The `result` of a call and the `arguments` after it, or its `error`."""

    result: Any = None
    arguments: Any = ()
    error: Exception | None = None


def outcome_of(function: Callable[..., Any], arguments: list[Any]) -> Outcome:
    try:
        with np.errstate(all="ignore"):
            return Outcome(function(*arguments), arguments)
    except Exception as error:
        return Outcome(error=error)


def difference(got: Outcome, wanted: Outcome, program: Program) -> str:
    """What is wrong with `got`, in a line; empty where it is right."""
    if wanted.error is not None:
        kind = next((kind for kind in ERRORS if isinstance(wanted.error, kind)), Exception)
        if isinstance(got.error, kind):
            return ""
        return f"NumPy raises {wanted.error!r}, and numfuse {'not' if got.error is None else repr(got.error)}"
    if got.error is not None:
        return f"numfuse raises {got.error!r}"
    pairs = list(_pairs((got.result, got.arguments), (wanted.result, wanted.arguments)))
    for one, other in pairs:
        told = _kinds_differ(one, other)
        if told:
            return told
    told = _sharing_differs(pairs)
    if told or all(_same(one, other) for one, other in pairs):
        return told
    allowed = _allowed(program, [np.asarray(other) for _, other in pairs])
    for (one, other), room in zip(pairs, allowed, strict=True):
        told = _values_differ(np.asarray(one), np.asarray(other), room)
        if told:
            return told
    return ""


def _pairs(got: Any, wanted: Any) -> Iterator[tuple[Any, Any]]:
    """The leaves, side by side; where the structure differs, the containers themselves."""
    if isinstance(wanted, (tuple, list)) and type(got) is type(wanted) and len(got) == len(wanted):
        for one, other in zip(got, wanted, strict=True):
            yield from _pairs(one, other)
    else:
        yield got, wanted


def _kinds_differ(got: Any, wanted: Any) -> str:
    if type(got) is not type(wanted):
        return f"the result is a {type(got).__name__}, not a {type(wanted).__name__}"
    if not isinstance(wanted, (np.ndarray, np.generic)):
        return "" if isinstance(wanted, (int, float, complex)) or got == wanted else f"{got!r} is not {wanted!r}"
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return f"{got.dtype}{list(got.shape)} is not {wanted.dtype}{list(wanted.shape)}"
    return ""


def _sharing_differs(pairs: list[tuple[Any, Any]]) -> str:
    """Two arrays are the same memory with numfuse where they are with NumPy, and only there."""
    arrays = [pair for pair in pairs if isinstance(pair[1], np.ndarray) and pair[1].size]
    for (a, b), (c, d) in itertools.combinations(arrays, 2):
        ours, theirs = _share(a, c), _share(b, d)
        if ours != theirs:
            return f"two arrays share memory {'with numfuse alone' if ours else 'with NumPy alone'}: {b.tolist()!r:.60}, {d.tolist()!r:.60}"
    return ""


def _share(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return np.shares_memory(a, b, max_work=10_000)
    except np.exceptions.TooHardError:
        return np.may_share_memory(a, b)


def _same(got: Any, wanted: Any) -> bool:
    if not isinstance(wanted, (np.ndarray, np.generic, int, float, complex)):
        return True  # compared already
    return bool(np.array_equal(got, wanted, equal_nan=np.asarray(wanted).dtype.kind in "fc"))


def _values_differ(got: np.ndarray, wanted: np.ndarray, room: np.ndarray) -> str:
    if wanted.dtype.kind not in "fc":
        return "" if np.array_equal(got, wanted) else _told(got, wanted, got != wanted)
    with np.errstate(all="ignore"):
        near = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | np.isinf(room)
        near |= np.abs(got.astype("c16") - wanted.astype("c16")) <= room
    return "" if near.all() else _told(got, wanted, ~near)


def _told(got: np.ndarray, wanted: np.ndarray, off: np.ndarray) -> str:
    return f"{off.sum()} of {off.size} values of {wanted.dtype}{list(wanted.shape)}: {got[off][:4]!r}, not {wanted[off][:4]!r}"


# -- how far rounding errors go ------------------------------------------------------------------------------------------


def _allowed(program: Program, wanted: list[np.ndarray]) -> list[np.ndarray]:
    """For each leaf, how far an element may be off; infinity where NumPy's own is not finite each time."""
    room = [np.zeros(leaf.shape) for leaf in wanted]
    if not any(statement.rounds for statement in program.statements):
        return room
    for run in range(RUNS):
        moved = _moved_run(program, np.random.default_rng(run))
        pairs = list(_pairs(moved, (moved[0], moved[1])))
        if len(pairs) != len(wanted):
            raise IllConditioned
        for place, (leaf, _) in enumerate(pairs):
            leaf, other = np.asarray(leaf), wanted[place]
            if leaf.shape != other.shape or leaf.dtype != other.dtype:
                raise IllConditioned
            if other.dtype.kind in "fc":
                with np.errstate(all="ignore"):
                    off = np.abs(leaf.astype("c16") - other.astype("c16"))
                    both = (leaf == other) | (np.isnan(leaf) & np.isnan(other))
                off = np.where(both, 0, np.where(np.isnan(off), np.inf, off))
                room[place] = np.maximum(room[place], off)
            elif not np.array_equal(leaf, other):
                raise IllConditioned
    return room


def _moved_run(program: Program, rng: np.random.Generator) -> tuple[Any, Any]:
    """The program by NumPy, with the operands and results of steps that round moved a little."""
    values = program.values()
    scope = {**NAMES, **{name: value for (name, _), value in zip(program.arguments, values, strict=True)}}
    with np.errstate(all="ignore"):
        for statement in program.statements:
            if statement.rounds:
                _moved_step(statement.text, names_in(statement.target), scope, rng)
            else:
                exec(statement.text, scope)
    return tuple(scope[name] for name in program.results) if program.results else None, values


def _moved_step(text: str, targets: set[str], scope: dict[str, Any], rng: np.random.Generator) -> None:
    kept = [(name, scope[name]) for name in sorted(names_in(text)) if name in scope]
    written = [value for name, value in kept if name in targets and isinstance(value, np.ndarray)]
    for value in written:
        value[...] = _moved(value, rng)
    restored = []
    for name, value in kept:
        if not isinstance(value, np.ndarray) or not value.flags.writeable:
            scope[name] = _moved(value, rng)
        elif not any(np.may_share_memory(value, other) for other in written):
            restored.append((value, value.copy()))
            value[...] = _moved(value, rng)
    exec(text, scope)
    for value, before in reversed(restored):
        value[...] = before
    for name, value in kept:
        if name not in targets:
            scope[name] = value
    for name in targets:
        value = scope[name]
        if isinstance(value, np.ndarray) and value.flags.writeable:
            value[...] = _moved(value, rng)
        else:
            scope[name] = _moved(value, rng)


def _moved(value: Any, rng: np.random.Generator) -> Any:
    """`value` with each float moved by up to some units in the last place."""
    dtype = np.asarray(value).dtype
    if dtype.kind not in "fc":
        return value
    size = dtype.itemsize // (2 if dtype.kind == "c" else 1)
    by = UNITS[size] * float(np.finfo(dtype).eps) * rng.uniform(-1, 1, np.shape(value))
    moved = (np.asarray(value, "c16" if dtype.kind == "c" else "f8") * (1 + by)).astype(dtype)
    if isinstance(value, np.ndarray):
        return moved
    return moved[()] if isinstance(value, np.generic) else type(value)(moved[()])
