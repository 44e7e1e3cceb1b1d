"""Random generators in a traced function: their numbers are drawn inside kernels, at each call of the function.

A `Stream` stands for a generator. It has a key, an input of the graph that is made anew at each call (see `draws.py`), and counts the draws
that the function makes. The k-th element of a draw is a function of the key, of k and of the draw's number, so it fuses with what uses it, and is the
same on every target and for any number of threads; only `log`, `cos` and the like differ from target to target, in the last digits. NumPy's own
sequence cannot be had so: each of its numbers depends on how many were drawn before. The distributions are the same.

Normal numbers are by G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", 1958, from 53 + 53 random bits (float64, up to 8.6
standard deviations) or 31 + 24 (float32, up to 6.5); most other distributions are the inverse of theirs, of 52 or 53 random bits. Integers are the high part
of a product (D. Lemire, "Fast random integer generation in an interval", 2019) with at least 32 bits more than the range has, so that no number is more
likely than another by more than 2**-32 of its probability.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.graph import constant
from numfuse.compiler.trace.array import Array, fresh, weak
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.errors import TraceError, UnsupportedFunction, at_line, telling_the_line, user_location
from numfuse.compiler.trace.recorder import Feed, Recorder
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, cast
from numfuse.compiler.types import Shape, broadcast, size_of

F4, F8, I8, U8 = (np.dtype(name) for name in ("f4", "f8", "i8", "u8"))


NONE = -0.0
"""The number that an addition leaves out, bit for bit."""


class Stream:
    """A generator in a traced function: `np.random.Generator`, or for NumPy's older functions `np.random.RandomState`."""

    def __init__(self, recorder: Recorder, kind: type, feed: Feed, name: str | None = None) -> None:
        self._recorder = recorder
        self._kind = kind
        self._feed = feed
        self._name = name
        self._key: Any = None
        self._draws = 0

    __class__ = property(lambda self: self._kind)
    """So that `isinstance(rng, np.random.Generator)` in a traced function is what it is without tracing."""

    @property
    def old(self) -> bool:
        """Whether it is a `RandomState`."""
        return self._kind.__name__ == "RandomState"

    def __repr__(self) -> str:
        return f"<traced {self._kind.__name__}>"

    def __getattr__(self, name: str) -> Any:
        from numfuse.compiler.trace.drawing import GENERATOR, STATE

        known = STATE if self.old else GENERATOR
        if name in known:
            method = known[name]
            return telling_the_line(lambda *args, **kwargs: method(self, *args, **kwargs))
        if name.startswith("__"):
            raise AttributeError(name)
        near = difflib.get_close_matches(name, known, 1, 0.66)
        hint = f"; the nearest that is: {near[0]}" if near else ""
        raise UnsupportedDraw(
            f"{self._kind.__name__}.{name} is not supported in a jitted function{hint}; draw these numbers outside, and pass the array"
            + at_line(user_location())
        )

    def __reduce__(self) -> Any:
        raise TraceError("a generator of a traced function cannot be copied or pickled" + at_line(user_location()))

    def key(self) -> Any:
        if self._key is None:
            self._key = self._recorder.input(self._name, (), U8, self._feed)
        return self._key


class UnsupportedDraw(UnsupportedFunction, AttributeError):
    """A method or attribute that traced generators lack."""


class Draw:
    """The random bits of one call of a generator's method, for each of its elements; they lie flat until the end."""

    def __init__(self, stream: Stream, shape: Shape) -> None:
        if not stream._recorder.open:
            raise TraceError(
                "a generator of a finished trace is used: the traced function kept it; make it anew in the function"
            )
        self.recorder = recorder = stream._recorder
        self.shape = shape
        self.key = stream.key()
        self.place = recorder.make("iota", shape=(size_of(shape),), axis=0, dtype=I8)
        self.number = constant(
            np.array([stream._draws]), user_location(), "draw"
        )  # an array, so that equal kernels stay equal
        recorder.nodes.append(self.number)
        stream._draws += 1

    def bits(self, first: int, count: int) -> Array:
        node = self.recorder.make("random_bits", self.key, self.place, self.number, first=first, count=count)
        return fresh(self.recorder, node)

    def shaped(self, flat: Any) -> Array:
        node = flat.node
        return fresh(self.recorder, self.recorder.make("reshape", node, shape=self.shape))

    def uniform(self, dtype: np.dtype = F8) -> Any:
        """At least 0, less than 1."""
        count = 53 if dtype == F8 else 24
        return self.bits(0, count).astype(dtype) * 2.0**-count

    def inside(self) -> Any:
        """More than 0, less than 1."""
        return (self.bits(0, 52).astype(F8) + 0.5) * 2.0**-52

    def logarithm(self, dtype: np.dtype = F8) -> Any:
        """Of a number more than 0, at most 1."""
        count = 53 if dtype == F8 else 31
        return np.log((self.bits(0, count).astype(dtype) + 1.0) * 2.0**-count)

    def exponential(self, dtype: np.dtype = F8) -> Any:
        return -self.logarithm(dtype)

    def normal(self, dtype: np.dtype = F8) -> Any:
        first, count = (64, 53) if dtype == F8 else (32, 24)
        angle = self.bits(first, count).astype(dtype) * (2.0**-count * 2 * np.pi)
        return np.sqrt(-2.0 * self.logarithm(dtype)) * np.cos(angle)

    def sign(self) -> Any:
        """-1 or 1, independent of the first 64 bits."""
        return self.bits(64, 1).astype(F8) * 2.0 - 1.0

    def below(self, span: Array, narrow: bool) -> Any:
        """Integers of 64 bits from 0 to `span` - 1; `narrow`: the span has at most 32 bits."""
        low, make = self.bits(0, 64), self.recorder.make
        product = make("multiply_high", low.node, span.node)
        if narrow:
            return fresh(self.recorder, product)
        high = self.bits(64, 64)
        carried = (high * span + fresh(self.recorder, product)) < fresh(self.recorder, product)
        return fresh(self.recorder, make("multiply_high", high.node, span.node)) + carried.astype(U8)


# -- distributions of real numbers ---------------------------------------------------------------------------------------


def _triangular(draw: Draw, left: Any, mode: Any, right: Any) -> Any:
    u, base = draw.shaped(draw.uniform()), right - left
    rising = left + np.sqrt(u * base * (mode - left))
    return np.where(u <= (mode - left) / base, rising, right - np.sqrt((1.0 - u) * base * (right - mode)))


def _geometric(draw: Draw, p: Any) -> Any:
    tries = np.ceil(draw.shaped(draw.exponential()) / -np.log1p(-p))
    return np.clip(tries, 1.0, 2.0**62).astype(I8)


DISTRIBUTIONS: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "uniform": ({"low": 0.0, "high": 1.0}, lambda draw, low, high: low + (high - low) * draw.shaped(draw.uniform())),
    "normal": ({"loc": NONE, "scale": 1.0}, lambda draw, loc, scale: loc + scale * draw.shaped(draw.normal())),
    "exponential": ({"scale": 1.0}, lambda draw, scale: scale * draw.shaped(draw.exponential())),
    "lognormal": ({"mean": NONE, "sigma": 1.0}, lambda draw, mean, sigma: np.exp(mean + sigma * draw.shaped(draw.normal()))),
    "laplace": ({"loc": NONE, "scale": 1.0}, lambda draw, loc, scale: loc + scale * draw.shaped(draw.sign() * draw.exponential())),
    "logistic": ({"loc": NONE, "scale": 1.0}, lambda draw, loc, scale: loc + scale * draw.shaped(np.log(draw.inside()) - np.log1p(-draw.inside()))),
    "gumbel": ({"loc": NONE, "scale": 1.0}, lambda draw, loc, scale: loc - scale * draw.shaped(np.log(-np.log(draw.inside())))),
    "rayleigh": ({"scale": 1.0}, lambda draw, scale: scale * draw.shaped(np.sqrt(2.0 * draw.exponential()))),
    "weibull": ({"a": ...}, lambda draw, a: np.where(a == 0, 0.0, draw.shaped(draw.exponential()) ** (1.0 / a))),
    "pareto": ({"a": ...}, lambda draw, a: np.expm1(draw.shaped(draw.exponential()) / a)),
    "power": ({"a": ...}, lambda draw, a: (-np.expm1(-draw.shaped(draw.exponential()))) ** (1.0 / a)),
    "triangular": ({"left": ..., "mode": ..., "right": ...}, _triangular),
    "geometric": ({"p": ...}, _geometric),
    "standard_cauchy": ({}, lambda draw: draw.shaped(np.tan((draw.inside() - 0.5) * np.pi))),
}  # fmt: skip
"""The method's parameters with their defaults (`...`: none), and what makes it of a draw: the formulas of NumPy's documentation."""


def distribution(name: str) -> Callable[..., Any]:
    defaults, combine = DISTRIBUTIONS[name]

    def method(stream: Stream, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip((*defaults, "size"), args, strict=False)) | kwargs
        values = defaults | given
        size = values.pop("size", None)
        if (
            len(args) > len(defaults) + 1
            or values.keys() != defaults.keys()
            or any(value is ... for value in values.values())
        ):
            told = ", ".join(
                f"{key}" if value is ... else f"{key}={value}" for key, value in (defaults | {"size": None}).items()
            )
            raise TypeError(f"{name}() takes the arguments {told}")
        parameters = [_real(stream._recorder, value) for value in values.values()]
        _check(stream, name, values, parameters)
        shape = shape_of(size, parameters)
        result = combine(Draw(stream, shape), *parameters)
        return (
            number_of(stream._recorder, result, int if name == "geometric" else float)
            if size is None and not shape
            else result
        )

    return method


def standard(name: str) -> Callable[..., Any]:
    """The method that `Draw` has under that name, which is told the dtype and may write to `out`."""

    def method(stream: Stream, size: Any = None, dtype: Any = F8, method: str = "zig", out: Any = None) -> Any:
        dtype = np.dtype(dtype)
        if dtype not in (F4, F8):
            raise TypeError(f"Unsupported dtype {dtype!r} for {'random' if name == 'uniform' else 'standard_' + name}")
        target = None if out is None else as_array(stream._recorder, out)
        if target is not None and target.dtype != dtype:
            raise TypeError(f"Supplied output array has the wrong type. Expected {dtype.name}, got {target.dtype.name}")
        shape = shape_of(size, []) if size is not None or target is None else target.shape
        if target is not None and target.shape != shape:
            raise ValueError("size must match out.shape when used together")
        draw = Draw(stream, shape)
        result = draw.shaped(getattr(draw, name)(dtype))
        if target is not None:
            target[...] = result
            return out
        return number_of(stream._recorder, result, float) if size is None else result

    return method


# -- integers ------------------------------------------------------------------------------------------------------------


def integers(
    stream: Stream, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
) -> Any:
    recorder, to = stream._recorder, np.dtype(dtype)
    if to.kind not in "iub":
        raise TypeError(f"Unsupported dtype {to!r} for integers")
    if high is None:
        low, high = 0, low
    known = not isinstance(low, Array) and not isinstance(high, Array)
    if known and stream.old:
        stream._kind(0).randint(low, high, dtype=to)
    elif known:
        np.random.default_rng(0).integers(low, high, dtype=to, endpoint=endpoint)  # NumPy's errors for bounds
    else:
        _check_bounds(recorder, low, high, to, endpoint)
    ends = [_bound(recorder, bound) for bound in (low, high)]
    shape = shape_of(size, ends)
    span = ends[1] - ends[0] + (1 if endpoint else 0)
    whole = False
    narrow = to.itemsize < 8
    if known:
        least, most = np.asarray(low, object), np.asarray(high, object) + bool(endpoint)
        whole, narrow = bool(np.any(most - least >= 2**64)), bool(np.all(most - least <= 2**32))
    draw = Draw(stream, shape)
    if whole and (np.ndim(low) or np.ndim(high)):
        raise UnsupportedFunction("integers with arrays of bounds that span all 64-bit integers is not supported")
    drawn = draw.shaped(draw.bits(0, 64) if whole else draw.below(_flat(draw, span), narrow))
    result = fresh(recorder, cast(recorder, drawn + ends[0], to))
    if size is not None or shape:
        return result
    if dtype in (int, bool):
        return number_of(recorder, result, dtype)
    result.scalar = True
    return result


def randint(stream: Stream, low: Any, high: Any = None, size: Any = None, dtype: Any = int) -> Any:
    return integers(stream, low, high, size, dtype)


# -- parameters, shapes and results --------------------------------------------------------------------------------------


def _negative(x: Any) -> Any:
    return np.signbit(x) & ~np.isnan(x)


def _ordered(low: Any, high: Any) -> list[tuple[Any, str]]:
    return [
        (_negative(high - low), "high - low < 0"),
        (~np.isfinite(high - low), "high - low range exceeds valid bounds"),
    ]


_SCALE: Callable[..., list[tuple[Any, str]]] = lambda *values: [(_negative(values[-1]), "scale < 0")]
_POSITIVE: Callable[..., list[tuple[Any, str]]] = lambda a: [(a <= 0, "a <= 0")]
WRONG: dict[str, Callable[..., list[tuple[Any, str]]]] = {
    **dict.fromkeys(("normal", "exponential", "laplace", "logistic", "gumbel", "rayleigh"), _SCALE),
    **dict.fromkeys(("pareto", "power"), _POSITIVE),
    "uniform": _ordered,
    "lognormal": lambda mean, sigma: [(_negative(sigma), "sigma < 0")],
    "weibull": lambda a: [(_negative(a), "a < 0")],
    "triangular": lambda left, mode, right: [(left > mode, "left > mode"), (mode > right, "mode > right"), (left == right, "left == right")],
    "geometric": lambda p: [(~((p > 0) & (p <= 1)), "p <= 0, p > 1 or p contains NaNs")],
    "standard_cauchy": list,
}  # fmt: skip
"""Where parameters are wrong, and what NumPy says of it."""


def _check(stream: Stream, name: str, values: dict[str, Any], parameters: list[Array]) -> None:
    """NumPy's errors for wrong parameters: now, where they are known while tracing, or at the call."""
    if not any(isinstance(value, Array) for value in values.values()):
        getattr(stream._kind(0) if stream.old else np.random.default_rng(0), name)(**values)
        return
    wrong = WRONG[name](*parameters)
    for flags, told in wrong[1:] if name == "uniform" and stream.old else wrong:
        checked(stream._recorder, flags, OverflowError(told) if "range" in told else ValueError(told))


def checked(recorder: Recorder, flags: Any, error: Exception) -> None:
    """Has the call raise `error` where a flag is set."""
    node = as_array(recorder, flags).node
    check(recorder, node, node, lambda value: type(error)(*error.args))


def _check_bounds(recorder: Recorder, low: Any, high: Any, to: np.dtype, endpoint: bool) -> None:
    """The same for the bounds of integers, some of which are traced."""
    least, most = (0, 1) if to.kind == "b" else (int(np.iinfo(to).min), int(np.iinfo(to).max))
    low, high = as_array(recorder, low), as_array(recorder, high)
    checked(recorder, low < least, ValueError(f"low is out of bounds for {to}"))
    checked(recorder, high > (most if endpoint else most + 1), ValueError(f"high is out of bounds for {to}"))
    checked(recorder, low > high if endpoint else low >= high, ValueError("low > high" if endpoint else "low >= high"))


def _real(recorder: Recorder, value: Any) -> Array:
    array = as_array(recorder, value)
    if array.dtype.kind == "c":
        raise TypeError(f"Cannot cast array data from {array.dtype!r} to dtype('float64') according to the rule 'safe'")
    return fresh(recorder, cast(recorder, array, F8))


def _bound(recorder: Recorder, value: Any) -> Array:
    """A bound of integers, modulo 2**64."""
    if isinstance(value, (int, float)) and not isinstance(value, Array):
        return fresh(recorder, recorder.constant(int(value) % 2**64, U8))
    if isinstance(value, (list, tuple)):
        value = np.asarray(value)
    array = as_array(recorder, value)
    if array.dtype.kind not in "iub":
        raise TypeError(f"bounds of integers must be integers, not {array.dtype}")
    if array.weak is not None:
        return fresh(recorder, cast(recorder, fresh(recorder, cast(recorder, array, I8)), U8))
    return fresh(recorder, cast(recorder, array, U8))


def _flat(draw: Draw, span: Array) -> Array:
    """The span of each element, as the draw lies."""
    if not span.shape:
        return span
    spread = broadcast_node(draw.recorder, span.node, draw.shape)
    return fresh(draw.recorder, draw.recorder.make("reshape", spread, shape=(size_of(draw.shape),)))


def shape_of(size: Any, parameters: list[Array]) -> Shape:
    wide = broadcast(*[parameter.shape for parameter in parameters]) if parameters else ()
    if size is None:
        return wide
    shape = tuple([operator.index(n) for n in (size if isinstance(size, (tuple, list, np.ndarray)) else (size,))])
    if any(extent < 0 for extent in shape):
        raise ValueError("negative dimensions are not allowed")
    if len(wide) > len(shape) or broadcast(wide, shape) != shape:
        raise ValueError(f"Output size {shape} is not compatible with broadcast dimensions of inputs {wide}.")
    return shape


def number_of(recorder: Recorder, result: Array, kind: type) -> Array:
    """A Python number, as NumPy gives it where no size is asked for."""
    return weak(recorder, kind, cast(recorder, result, np.dtype(kind)))
