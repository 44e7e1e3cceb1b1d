"""Functions that index with arrays and masks, by name: each is run by NumPy and compiled. Also what is refused, and what fails at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_rng = np.random.default_rng(7)
x, y = _rng.standard_normal((5, 6)), _rng.standard_normal((5, 6))
v = _rng.standard_normal(7)
i = np.array([1, -2, 0, 4, 4])
n = _rng.integers(0, 5, (5, 6))
m = x > 0
none = np.zeros((5, 6), bool)


def written(change: Callable[..., Any]) -> Callable[..., Any]:
    """`change` on a copy of its first argument, which is returned."""

    def function(z: Any, *rest: Any) -> Any:
        z = z.copy()
        change(z, *rest)
        return z

    return function


def _views(z: Any, i: Any) -> Any:
    z = z.copy()
    row = z[i[0]]
    row += 1
    row[1:3] = 5
    z[i[0], 0] = 44
    kept = row.copy()
    z[i[1]] = 3
    z[i[1]][0] = 9
    return z, kept, row * 1


def _in_place(z: Any, y: Any) -> None:
    z[z > 0] += y[z > 0]
    z[y > 0] *= 2
    z[:, 0][z[:, 0] < 0] = 1


def _histogram(n: Any) -> Any:
    counts = np.zeros(5, int)
    np.add.at(counts, n, 1)
    return counts


def _diagonal_sees_writes(z: Any) -> Any:
    z = z.copy()
    diagonal = z.diagonal()
    z[0] = 7
    return diagonal * 1


def _selection_written(x: Any) -> Any:
    chosen = x[x > 0]
    other = chosen
    chosen += 1
    chosen[chosen > 2] = 0
    return other.sum(), x.sum()


def _put(key: Any) -> Callable[..., Any]:
    return written(lambda z, *rest: z.__setitem__(key(z), *rest))


CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "rows": (lambda x, i: x[i] * 2, (x, i)),
    "rows and columns": (lambda x, i: x[i][:, i], (x, i)),
    "of a view": (lambda x, i: x.T[1:, ::-1][i % 3, i], (x, i)),
    "of what is computed": (lambda x, i: (np.exp(x) + 1)[i], (x, i)),
    "of rows reduced": (lambda x, i: x.sum(1)[i] - x[i].max(1), (x, i)),
    "of concatenated": (lambda x, y, i: np.concatenate([x, y])[i * 2], (x, y, i)),
    "places in places": (lambda v, i: v[i[i]], (v, i)),
    "an outer index": (lambda x, i: x[i[:, None], i[None, :3]], (x, i)),
    "scalars": (lambda x, i: (x[i[0]], x[i[0], i[1]], x[i[2], 1:3], x[:, i[0]], x[i[0]] * x[i[1]]), (x, i)),
    "one-hot": (lambda n: np.eye(5)[n], (n,)),
    "a table made in the function": (lambda i: np.array([1.0, 5.0, 7.0, 9.0, 2.0])[i] * 2, (i,)),
    "a table from outside": (lambda i: np.take(v, i), (i,)),
    "labels": (lambda x, i: x[np.arange(5), i], (x, i)),
    "the largest of each column": (lambda x: (x[x.argmax(0), np.arange(6)], x[x[:, 0].argmin()]), (x,)),
    "the largest": (lambda x: x[np.unravel_index(np.argmax(x), x.shape)], (x,)),
    "np.ix_": (lambda x, i: x[np.ix_(i, i[:3])], (x, i)),
    "np.ix_ of lists": (lambda x: x[np.ix_([0, 2], [True, False, True, False, False, True])], (x,)),
    "a triangle": (lambda x: x[np.tril_indices(5)], (x,)),
    "out of bounds": (lambda v, i: v[i * 2], (v, i)),
    "out of bounds before": (lambda v, i: v[i - 6], (v, i)),
    "take": (lambda x, i: (np.take(x, i), x.take(i, axis=1), np.take(x, 3), np.take(x, [1, 2], 1)), (x, i)),
    "take, wrap and clip": (
        lambda x, i: (x.take(i * 9, 1, mode="wrap"), np.take(x, i * 9, axis=0, mode="clip")), (x, i),
    ),
    "take with out": (lambda x, i: np.take(x, i, out=np.zeros(5)), (x, i)),
    "take out of bounds": (lambda x, i: np.take(x, i * 9, axis=1), (x, i)),
    "take_along_axis": (lambda x, n: (np.take_along_axis(x, n, 1), np.take_along_axis(x, n[:2], 0)), (x, n)),
    "take_along_axis, argsort": (lambda x: np.take_along_axis(x, np.argsort(x, 1), 1), (x,)),
    "choose": (lambda i, x, y: np.choose(i % 3, [x[:, 0], y[:, 0], 1.5]), (i, x, y)),
    "choose, clip": (lambda i, x, y: np.choose(i, [x[:, 0], y[:, 0], 1.5], mode="clip"), (i, x, y)),
    "choose out of range": (lambda i, x, y: np.choose(i, [x[:, 0], y[:, 0]]), (i, x, y)),
    "compress": (lambda x: np.compress([True, False, True], x, axis=1), (x,)),
    "compress, reduced": (
        lambda x, i: (np.compress(i > 0, x, axis=0).sum(axis=0), x.compress((x[0] > 0), axis=1).max(axis=1)), (x, i),
    ),
    "extract": (lambda x, m: np.extract(m, x).mean(), (x, m)),
    "diagonals": (lambda x: (np.diagonal(x), x.diagonal(1), np.diagonal(x, -2), np.trace(x), np.diag(x, 1)), (x,)),
    "diagonals of 3": (lambda a: (a.diagonal(0, 2, 0), a.trace(1, 1, 2)), (np.arange(24.0).reshape(2, 3, 4),)),
    "diag": (lambda v: (np.diag(v), np.diag(v, 2), np.diag(v, -1), np.diagflat(v[:4].reshape(2, 2))), (v,)),
    "a diagonal sees writes": (_diagonal_sees_writes, (x,)),
    "a diagonal is read only": (written(lambda z: z.diagonal().__setitem__(0, 1)), (x,)),
    # writes
    "set rows": (written(lambda z, i, y: z.__setitem__(i, y)), (x, i, y)),
    "add to rows": (written(lambda z, i: z.__setitem__(i, z[i] + 1)), (x, i)),
    "set elements": (written(lambda z, i: z.__setitem__((i, i % 6), 0)), (x, i)),
    "set one element": (written(lambda z, i: z.__setitem__((i[1], i[2]), 7)), (x, i)),
    "views by computed integers": (_views, (x, i)),
    "set out of bounds": (written(lambda z, i: z.__setitem__(i * 3, 0)), (x, i)),
    "set a triangle": (written(lambda z: z.__setitem__(np.triu_indices(5), 0)), (x,)),
    "put": (written(lambda z, i, v: np.put(z, i, v)), (x, i, v)),
    "put, wrap": (written(lambda z, i, v: z.put(i * 30, v[:2], mode="wrap")), (x, i, v)),
    "putmask": (written(lambda z, m, v: np.putmask(z, m, v)), (x, m, v)),
    "place": (written(lambda z, m, v: np.place(z, m, v)), (x, m, v)),
    "place nothing": (written(lambda z, m: np.place(z, m, [])), (x, m)),
    "put_along_axis": (written(lambda z, n: np.put_along_axis(z, n[:, :2], 7.0, 1)), (x, n)),
    "fill_diagonal": (written(lambda z: np.fill_diagonal(z, 3)), (x,)),
    "fill_diagonal, wrap": (written(lambda z, v: np.fill_diagonal(z, v[:2], wrap=True)), (np.zeros((7, 2)), v)),
    "fill_diagonal, tall": (written(lambda z, v: np.fill_diagonal(z, v)), (np.zeros((7, 2)), v)),
    "add.at": (written(lambda z, i, v: np.add.at(z, i, v[:6])), (x, i, v)),
    "maximum.at": (written(lambda z, i, v: np.maximum.at(z, (i, i % 6), v[:5])), (x, i, v)),
    "negative.at": (written(lambda z, i: np.negative.at(z, i)), (x, i)),
    "add.at, mask": (written(lambda z, m: np.add.at(z, m, 3)), (x, m)),
    "add.at, slice": (written(lambda z: np.add.at(z, slice(1, 3), 3)), (x,)),
    "add.at, integers": (_histogram, (n,)),
    # masks
    "mask: statistics": (
        lambda x: [f(x[x > 0]) for f in (np.mean, np.sum, np.std, np.min, np.max, np.prod, np.ptp)], (x,),
    ),
    "mask: methods": (lambda x: (x[x > 0].var(ddof=1), x[x > 0].any(), (x[x > 0] > 1).sum()), (x,)),
    "mask: integers": (
        lambda n: (n[n > 2].mean(), n[n > 2].sum(), n[n > 2].std(), n[n > 2].min(), (n[n > 2] >= 3).all()), (n,),
    ),
    "mask: sizes": (
        lambda x: (x[x > 0].size, x[x > 0].shape[0], np.count_nonzero(x[x > 0] > 1), np.size(x[x > 0])), (x,),
    ),
    "mask: len": (lambda x: (len(x[x > 0]), x[x > 0].sum() / len(x[x > 0])), (x,)),
    "mask: element by element": (lambda x, y, m: (x[m] * 2 + y[m]).sum(), (x, y, m)),
    "mask: on the right": (
        lambda x, m: ((x.mean() - x[m]).sum(), (1 / x[m]).max(), np.add(x[0, 0], x[m]).min(), (x.max() > x[m]).all()), (x, m),
    ),
    "mask: functions": (
        lambda x, y, m: np.sqrt(abs(x[m]) + np.where(y[m] > 0, y[m], 0) ** 2 + np.clip(y[m], 0, 1)).mean(), (x, y, m),
    ),
    "mask: dot": (lambda x, y, m: (x[m] @ y[m], np.dot(x[m], y[m])), (x, y, m)),
    "mask: not a number": (lambda x: x[~np.isnan(x)].mean(), (np.where(x > 1, np.nan, x),)),
    "mask: rows": (
        lambda x: (x[x[:, 0] > 0].sum(axis=0), x[x[:, 0] > 0].sum(axis=1).max(), x[x[:, 0] > 0][:, 1].sum()), (x,),
    ),
    "mask: columns": (
        lambda x: (x[:, x[0] > 0].sum(axis=1), x[:, x[0] > 0].sum(axis=0).max(), x[0, x[0] > 0].sum()), (x,),
    ),
    "mask: keepdims": (lambda x: (x[x > 0].sum(keepdims=True), x[x[:, 0] > 0].mean(0, keepdims=True)), (x,)),
    "mask: of a mask": (lambda x, y: x[x > 0][y[x > 0] > 0].sum(), (x, y)),
    "mask: centroids": (lambda x, n: np.stack([x[n[:, 0] == k].mean(axis=0) for k in range(5)]), (x, n)),
    "mask: as places": (lambda v, n: v[n[n > 2]].sum(), (v, n)),
    "mask: nonzero": (lambda x: (np.nonzero(x > 0)[0].sum(), x[np.nonzero(x > 0)].sum(), np.flatnonzero(x).max()), (x,)),
    "mask: nothing": (lambda x, m: (x[m].mean(), x[m].sum(), x[m].prod(), x[m].size, x[m].max(initial=3)), (x, none)),
    "mask: least of nothing": (lambda x, m: x[m].min(), (x, none)),
    "mask: set": (_put(lambda z: z > 0), (x, np.array(0.0))),
    "mask: set from the same": (written(lambda z, y: z.__setitem__(z > 0, y[z > 0] * 2)), (x, y)),
    "mask: set in place": (written(_in_place), (x, y)),
    "mask: a selection is written": (_selection_written, (x,)),
    "mask: set as many": (written(lambda z, m, w: z.__setitem__(m, w)), (x, m, np.arange(float(m.sum())))),
    "mask: set too many": (written(lambda z, m, w: z.__setitem__(m, w)), (x, m, np.arange(3.0))),
    "mask: set rows": (_put(lambda z: z[:, 0] > 0), (x, y[0])),
    "mask: set columns": (_put(lambda z: (slice(None), z[0] > 0)), (x, y[:, :1])),
    "mask: set in a row": (_put(lambda z: (0, z[0] > 0)), (x, np.array(7.0))),
    "mask: set where": (written(lambda z: z.__setitem__(np.where(z > 0), 0)), (x,)),
    "mask: var of where": (lambda x: (x.var(where=x > 0), x.std(axis=0, where=x > -1, keepdims=True)), (x,)),
}  # fmt: skip

REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "returned": lambda x, y: x[x > 0],
    "sorted": lambda x, y: np.sort(x[x > 0]),
    "two masks": lambda x, y: (x[x > 0] + x[y > 0]).sum(),
    "indexed": lambda x, y: x[x > 0][0],
    "converted": lambda x, y: np.asarray(x[x > 0]).sum(),
    "iterated": lambda x, y: sum(x[x > 0]),
    "a condition": lambda x, y: 1 if x[x > 0] else 2,
    "a mask and places": lambda x, y: x[x[:, 0] > 0, [0, 1]].sum(),
    "argmax": lambda x, y: x[x > 0].argmax(),
}
