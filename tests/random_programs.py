"""Random NumPy programs for property tests: drawn as a list of steps, run on NumPy arrays and on traced ones alike.

Values stay small and conditions tame, so that results can be compared to a few units in the last place: what is tested is the compiler, not
the conditioning of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

DTYPES = ("f4", "f8", "i4", "i8", "u1", "?", "f2")
SHAPES = ((), (1,), (2,), (5,), (33,), (3, 4), (1, 5), (4, 1), (2, 3, 4), (0,), (3, 0), (40, 3))

Step = tuple[str, tuple[Any, ...]]


def bounded(x: Any) -> Any:
    """x, brought near zero; integers stay as they are."""
    return np.clip(x, -4, 4) if x.dtype.kind == "f" else x


UNARY: dict[str, Callable[[Any], Any]] = {
    "negative": lambda x: -x if x.dtype.kind in "if" else x,
    "absolute": lambda x: abs(x),
    "square": lambda x: bounded(x) ** 2,
    "cube": lambda x: bounded(x) ** 3,
    "tanh": lambda x: np.tanh(x) if x.dtype.kind == "f" else x,
    "exp": lambda x: np.exp(-abs(x)) if x.dtype.kind == "f" else x,
    "sqrt": lambda x: np.sqrt(abs(x)) if x.dtype.kind == "f" else x,
    "floor": lambda x: np.floor(x),
    "sign": lambda x: np.sign(x) if x.dtype.kind != "b" else x,
    "invert": lambda x: ~x if x.dtype.kind in "bi" else x,
    "isnan": lambda x: np.isnan(x),
    "positive part": lambda x: np.where(x > 0, x, x.dtype.type(0)),
    "clip": lambda x: np.clip(x, 0, 1) if x.dtype.kind != "b" else x,
    "half": lambda x: x * 0.5,
    "plus one": lambda x: x + 1,
    "times a float64": lambda x: bounded(x) * np.float64(0.5),
    "plus a float32": lambda x: x + np.float32(1),
    "minus an int8": lambda x: x - np.int8(1),
    "to f4": lambda x: bounded(x).astype("f4"),
    "to f8": lambda x: x.astype("f8"),
    "to i4": lambda x: bounded(x).astype("i4"),
    "to bool": lambda x: x.astype(bool),
    "transpose": lambda x: x.T,
    "ravel": lambda x: x.ravel(),
    "flip": lambda x: np.flip(x),
    "squeeze": lambda x: np.squeeze(x),
    "add axis": lambda x: x[..., None],
    "add first axis": lambda x: x[None],
    "every other": lambda x: x[::2] if x.ndim else x,
    "backwards": lambda x: x[..., ::-1] if x.ndim else x,
    "inner": lambda x: x[1:-1] if x.ndim and x.shape[0] > 2 else x,
    "first": lambda x: x[0] if x.ndim and x.shape[0] else x,
    "last": lambda x: x[..., -1] if x.ndim and x.shape[-1] else x,
    "pad": lambda x: np.pad(x, 1) if x.ndim else x,
    "pad edge": lambda x: np.pad(x, 1, mode="edge") if x.ndim and x.size else x,
    "roll": lambda x: np.roll(x, 1, 0) if x.ndim else x,
    "twice": lambda x: np.concatenate([x, x]) if x.ndim else x,
    "stacked": lambda x: np.stack([x, x + x], -1),
    "tile": lambda x: np.tile(x, 2),
    "differences": lambda x: x[1:] - x[:-1] if x.ndim and x.shape[0] > 1 and x.dtype.kind != "b" else x,
    "written": lambda x: _written(x),
    "written in steps": lambda x: _written_in_steps(x),
}


def product(x: Any, y: Any) -> Any:
    """A matrix product where the shapes allow one: a step that is no kernel."""
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-1] or {x.dtype.char, y.dtype.char} - set("fd"):
        return x + y
    return np.tanh(x) @ (np.swapaxes(np.tanh(y), -1, -2) if y.ndim > 1 else np.tanh(y))


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x != y if x.dtype == y.dtype == bool else x - y,
    "multiply": lambda x, y: bounded(x) * bounded(y),
    "divide": lambda x, y: bounded(x) / (abs(bounded(y)) + 1),
    "maximum": lambda x, y: np.maximum(x, y),
    "minimum": lambda x, y: np.minimum(x, y),
    "product": product,
    "less": lambda x, y: x < y,
    "equal": lambda x, y: x == y,
    "where": lambda x, y: np.where(x > y, x, y),
    "logical or": lambda x, y: np.logical_or(x, y),
    "floor divide": lambda x, y: x // 3 + y if x.dtype.kind != "b" else x | (y > 0),
    "remainder": lambda x, y: x % 3 + y if x.dtype.kind != "b" else x & (y > 0),
}

REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda x, axis, keep: bounded(x).sum(axis, keepdims=keep),
    "mean": lambda x, axis, keep: bounded(x).mean(axis, keepdims=keep) if x.size else x,
    "max": lambda x, axis, keep: x.max(axis, keepdims=keep) if x.size else x,
    "min": lambda x, axis, keep: x.min(axis, keepdims=keep) if x.size else x,
    "any": lambda x, axis, keep: (x > 0).any(axis, keepdims=keep),
    "all": lambda x, axis, keep: (x > 0).all(axis, keepdims=keep),
    "argmax": lambda x, axis, keep: np.argmax(x, axis, keepdims=keep) if x.size and not isinstance(axis, tuple) else x,
    "var": lambda x, axis, keep: (
        x.var(axis, keepdims=keep) if x.size and x.dtype.kind == "f" and x.dtype != np.float16 else x
    ),
    "prod": lambda x, axis, keep: (
        np.prod(np.clip(x, 0, 2), axis, keepdims=keep) if x.dtype.kind != "b" and x.size < 20 else x
    ),
}


def _written(x: Any) -> Any:
    y = x.copy()
    if y.ndim and y.shape[0] > 2:
        y[1:-1] = y[2:]
    if y.ndim:
        y[...] += y
    return y


def _written_in_steps(x: Any) -> Any:
    y = x.copy()
    if y.ndim:
        y[::2] = 1
        view = y[::-1]
        view[:1] = 0
    return y


@st.composite
def programs(draw: st.DrawFn, most_steps: int = 8) -> tuple[list[np.ndarray], Callable[..., Any], list[Step]]:
    """(arguments, program, its steps): `program(*arguments)` returns a tuple of arrays."""
    count = draw(st.integers(1, 3))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    arguments = [_argument(draw, rng) for _ in range(count)]
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, most_steps))):
        kind = draw(st.sampled_from(["unary", "unary", "binary", "binary", "reduction"]))
        source = draw(st.integers(0, 30))
        if kind == "unary":
            steps.append((kind, (draw(st.sampled_from(sorted(UNARY))), source)))
        elif kind == "binary":
            steps.append((kind, (draw(st.sampled_from(sorted(BINARY))), source, draw(st.integers(0, 30)))))
        else:
            steps.append(
                (
                    kind,
                    (draw(st.sampled_from(sorted(REDUCTIONS))), source, draw(st.integers(-1, 3)), draw(st.booleans())),
                )
            )
    results = draw(st.integers(1, 3))
    return arguments, lambda *arrays: run(steps, list(arrays), results), steps


def _argument(draw: st.DrawFn, rng: np.random.Generator) -> np.ndarray:
    dtype, shape = np.dtype(draw(st.sampled_from(DTYPES))), draw(st.sampled_from(SHAPES))
    drawn = rng.standard_normal(shape) * 3
    array = np.asarray(np.abs(drawn) if dtype.kind == "u" else drawn).astype(dtype)
    layout = draw(st.sampled_from(["C", "C", "F", "reversed", "strided"]))
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "reversed" and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "strided" and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return array


def run(steps: list[Step], values: list[Any], results: int) -> tuple[Any, ...]:
    """Runs the steps on NumPy arrays or traced ones. Shapes that do not fit a binary step leave it out."""
    for kind, (name, source, *rest) in steps:
        x = values[source % len(values)]
        if kind == "unary":
            made = UNARY[name](x)
        elif kind == "binary":
            y = values[rest[0] % len(values)]
            try:
                shape = np.broadcast_shapes(x.shape, y.shape)
            except ValueError:
                continue
            if int(np.prod(shape)) > 20_000:
                continue
            made = BINARY[name](x, y)
        else:
            axis = None if rest[0] < 0 or not x.ndim else rest[0] % x.ndim
            made = REDUCTIONS[name](x, axis, rest[1])
        if made.size <= 20_000 and made.ndim <= 6:
            values.append(made)
    return tuple(values[-results:])


def compare(got: Sequence[Any], wanted: Sequence[Any], steps: list[Step], arguments: Sequence[np.ndarray]) -> None:
    """Shapes and dtypes exactly, values up to the rounding of the least precise step."""
    floats = [array.dtype.itemsize for array in arguments if array.dtype.kind == "f"]
    coarsest = min([8, *floats, *[4 for _, (name, *_rest) in steps if name == "to f4"]])
    for result, value in zip(got, wanted, strict=True):
        result, value = np.asarray(result), np.asarray(value)
        assert (result.dtype, result.shape) == (value.dtype, value.shape), steps
        if value.dtype.kind in "biu":
            # a comparison or a floor may fall to either side of a rounding difference, in a chain of float steps
            assert np.array_equal(result, value) or _float_before(steps), (steps, result, value)
            continue
        rtol = {2: 2e-2, 4: 1e-4, 8: 1e-10}[min(coarsest, value.dtype.itemsize)]
        scale = float(np.abs(value[np.isfinite(value)]).max()) if np.isfinite(value).any() else 0.0
        off = ~np.isclose(result, value, rtol=rtol, atol=rtol * (1 + scale), equal_nan=True)
        assert not off.any() or (_float_before(steps) and off.mean() < 0.2), (steps, result[off][:5], value[off][:5])


def _float_before(steps: list[Step]) -> bool:
    """Whether a rounding difference can turn into a different choice."""
    choosing = {
        "less",
        "equal",
        "where",
        "floor",
        "sign",
        "argmax",
        "any",
        "all",
        "to i4",
        "to bool",
        "floor divide",
        "remainder",
        "isnan",
    }
    choosing |= {"positive part", "logical or", "maximum", "minimum"}
    return any(name in choosing for _, (name, *_rest) in steps)
