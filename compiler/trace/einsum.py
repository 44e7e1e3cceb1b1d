"""np.einsum by matrix products: the operands are contracted in pairs, along the path that NumPy finds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import transpose
from numfuse.compiler.trace.take import diagonal_view
from numfuse.compiler.trace.ufuncs import as_array, cast, store
from numfuse.compiler.types import from_package, size_of


def einsum(
    recorder: Recorder, *operands: Any, out: Any = None, dtype: Any = None, order: str = "K", casting: Any = "safe", optimize: Any = False
) -> Any:  # fmt: skip
    subscripts, given = _subscripts(operands)
    arrays = [as_array(recorder, one) for one in given]
    terms, result = _parsed(subscripts, arrays)
    to = np.result_type(*[one.dtype for one in arrays]) if dtype is None else np.dtype(dtype)
    if from_package(to):
        raise TypeError("invalid data type for einsum")
    for one in arrays:
        if not np.can_cast(one.dtype, to, casting):
            raise TypeError(
                f"Iterator operand could not be cast from {one.dtype!r} to {to!r} according to the rule '{casting}'"
            )
    extents = _extents(terms, arrays)
    if len(arrays) == 1 and out is None and to == arrays[0].dtype and set(result) == set(terms[0]):
        return _view(recorder, arrays[0], terms[0], result)
    pending: list[tuple[str, Any]] = [
        _summed_alone(_diagonals(term, fresh(recorder, cast(recorder, one, to))), result, terms, place)
        for place, (term, one) in enumerate(zip(terms, arrays, strict=True))
    ]
    for pair in _path(subscripts_of(terms, result), arrays):
        chosen = [pending.pop(place) for place in sorted(pair, reverse=True)][::-1]
        kept = set(result).union(*[set(term) for term, _ in pending])
        while len(chosen) > 1:
            first, second = chosen.pop(0), chosen.pop(0)
            needed = kept.union(*[set(term) for term, _ in chosen])
            chosen.insert(0, _contracted(first, second, needed, extents))
        pending.append(chosen[0])
    ((term, value),) = pending
    spare = tuple([place for place, label in enumerate(term) if label not in result])
    if spare:
        value = np.sum(value, axis=spare, dtype=to)
        term = "".join([label for label in term if label in result])
    turned: Any = np.transpose(value, [term.index(label) for label in result])
    return store(recorder, np.positive, fresh(recorder, turned.node, scalar=True), out, casting=casting)


def _view(recorder: Recorder, array: Array, term: str, result: str) -> Array:
    """Of one operand of which nothing is summed NumPy makes a view, which can be written to."""
    for label in result:
        while term.count(label) > 1:
            first = term.index(label)
            second = term.index(label, first + 1)
            _check_square(label, array.shape[first], array.shape[second])
            array = diagonal_view(recorder, array, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + label
    return transpose(recorder, array, [term.index(label) for label in result])


def _subscripts(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """`einsum("ij,jk", a, b)` and `einsum(a, [0, 1], b, [1, 2])`, as the first."""
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), list(operands[1:])
    pairs = list(operands)
    result = pairs.pop() if len(pairs) % 2 else None
    letters = "".join([chr(code) for code in (*range(97, 123), *range(65, 91))])

    def text(labels: Any) -> str:
        return "".join(["..." if label is Ellipsis else letters[label] for label in labels])

    terms = ",".join([text(labels) for labels in pairs[1::2]])
    return terms + ("" if result is None else "->" + text(result)), pairs[::2]


def _parsed(subscripts: str, arrays: list[Array]) -> tuple[list[str], str]:
    """A term for each operand and the result's, ellipses written out in capitals that nothing else uses."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        count = "more" if len(terms) < len(arrays) else "fewer"
        raise ValueError(f"{count} operands provided to einstein sum function than specified in the subscripts string")
    free = [chr(code) for code in range(192, 192 + 64)]
    longest = 0
    for place, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        named = len(term.replace("...", ""))
        if "..." in term:
            rest = array.ndim - named
            if rest < 0:
                raise ValueError(
                    "einstein sum subscripts string contains too many subscripts for operand " + str(place)
                )
            longest = max(longest, rest)
            terms[place] = term.replace("...", "".join(free[len(free) - rest :]))
        elif named != array.ndim:
            few = "does not contain enough" if named < array.ndim else "contains too many"
            raise ValueError(f"einstein sum subscripts string {few} subscripts for operand {place}")
        if not terms[place].isalpha() and terms[place]:
            raise ValueError(f"invalid subscript in einstein sum subscripts string: {term!r}")
    spread = "".join(free[len(free) - longest :])
    if arrow:
        result = right.replace("...", spread)
        for label in result:
            if not any(label in term for term in terms):
                raise ValueError(
                    f"einstein sum subscripts string included output subscript '{label}' which never appeared in an input"
                )
        if len(set(result)) != len(result):
            raise ValueError("einstein sum subscripts string includes an output subscript multiple times")
        return terms, result
    every = "".join(terms)
    return terms, spread + "".join(sorted({label for label in every if every.count(label) == 1} - set(spread)))


def subscripts_of(terms: list[str], result: str) -> str:
    """In the letters that NumPy takes."""
    labels = sorted(set("".join(terms)))
    letters = [chr(code) for code in (*range(97, 123), *range(65, 91))]
    if len(labels) > len(letters):
        raise UnsupportedFunction("np.einsum with more than 52 labels is not supported")
    renamed = str.maketrans(dict(zip(labels, letters, strict=False)))
    return (",".join(terms) + "->" + result).translate(renamed)


def _extents(terms: list[str], arrays: list[Array]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        for label, extent in zip(term, array.shape, strict=True):
            known = extents.get(label, 1)
            if 1 not in (known, extent) and known != extent:
                raise ValueError(
                    f"operand has a mismatch in its core dimension for the subscript '{label}': size {extent} is different from {known}"
                )
            extents[label] = max(known, extent) if 0 not in (known, extent) else 0
    return extents


def _path(subscripts: str, arrays: list[Array]) -> list[tuple[int, ...]]:
    """The pairs to contract, in order (np.einsum_path, on shapes alone)."""
    if len(arrays) < 2:
        return []
    if len(arrays) == 2:
        return [(0, 1)]
    empty = [np.broadcast_to(np.zeros(()), one.shape) for one in arrays]
    return list(np.einsum_path(subscripts, *empty, optimize="greedy")[0][1:])


def _diagonals(term: str, value: Any) -> tuple[str, Any]:
    """A repeated label within a term takes the diagonal."""
    for label in term:
        while term.count(label) > 1:
            first = term.index(label)
            second = term.index(label, first + 1)
            n = value.shape[first]
            _check_square(label, n, value.shape[second])
            equal = np.arange(n).reshape([n if k == first else 1 for k in range(len(term))]) == np.arange(n).reshape(
                [n if k == second else 1 for k in range(len(term))]
            )
            value = np.sum(np.where(equal, value, value.dtype.type(0)), axis=second, dtype=value.dtype)
            term = term[:second] + term[second + 1 :]
    return term, value


def _check_square(label: str, n: int, m: int) -> None:
    if n != m:
        raise ValueError(f"dimensions in single operand for collapsing index '{label}' don't match ({n} != {m})")


def _summed_alone(pair: tuple[str, Any], result: str, terms: list[str], place: int) -> tuple[str, Any]:
    """Labels that stand in this term alone are summed at once."""
    term, value = pair
    others = set(result).union(*[set(other) for k, other in enumerate(terms) if k != place])
    alone = tuple([k for k, label in enumerate(term) if label not in others])
    if not alone or len(terms) == 1:
        return term, value
    return "".join([label for label in term if label in others]), np.sum(value, axis=alone, dtype=value.dtype)


def _contracted(
    one: tuple[str, Any], other: tuple[str, Any], needed: set[str], extents: dict[str, int]
) -> tuple[str, Any]:
    """Two operands as a batch of matrix products; as an elementwise product where nothing is summed."""
    (left, a), (right, b) = one, other
    batch = [label for label in left if label in right and label in needed]
    summed = [label for label in left if label in right and label not in needed]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]

    def spread(term: str, value: Any, order: list[str]) -> Any:
        """The axes in this order, those of one element spread where the other operand has more."""
        value = np.transpose(value, [term.index(label) for label in order])
        return np.broadcast_to(value, tuple([extents[label] for label in order]))

    if not summed or a.dtype.kind not in "fc":
        order = [*batch, *rows, *columns, *summed]
        first = _placed(left, a, order)
        second = _placed(right, b, order)
        product = np.logical_and(first, second) if a.dtype.kind == "b" else first * second
        product = np.broadcast_to(product, tuple([extents[label] for label in order]))
        if summed:
            last = tuple(range(len(order) - len(summed), len(order)))
            product = np.any(product, axis=last) if a.dtype.kind == "b" else np.sum(product, axis=last, dtype=a.dtype)
        return "".join([*batch, *rows, *columns]), product
    shape = [[extents[label] for label in group] for group in (batch, rows, columns, summed)]
    first = spread(left, a, [*batch, *rows, *summed]).reshape((*shape[0], size_of(shape[1]), size_of(shape[3])))
    second = spread(right, b, [*batch, *summed, *columns]).reshape((*shape[0], size_of(shape[3]), size_of(shape[2])))
    return "".join([*batch, *rows, *columns]), (first @ second).reshape((*shape[0], *shape[1], *shape[2]))


def _placed(term: str, value: Any, order: list[str]) -> Any:
    """The axes in this order, with axes of one element for the labels that the term lacks."""
    value = np.transpose(value, [term.index(label) for label in order if label in term])
    extents = iter(value.shape)
    return value.reshape(tuple([next(extents) if label in term else 1 for label in order]))
