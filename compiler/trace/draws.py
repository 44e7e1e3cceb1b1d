"""Where a traced function's random generators come from, and the keys that they are given at each call.

A generator among the arguments is a leaf of the call. One in a global, a closure or an object, and the names of `numpy.random`, give way for the time of
the trace to stand-ins that ask who uses them: in the tracing thread a stand-in is a traced `Stream`, for everybody else what it stands for. No number is
drawn by tracing. At each call the key of a stream is drawn from its generator, one 64-bit number, so the generator goes on as it does in NumPy.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.errors import TraceError, UnsupportedFunction, at_line, of_library, user_location
from numfuse.compiler.trace.found import Place, places
from numfuse.compiler.trace.random import Stream
from numfuse.compiler.trace.recorder import Feed, Recorder

Result = TypeVar("Result")

# -- keys ----------------------------------------------------------------------------------------------------------------


def next_key(generator: Any) -> Any:
    """The next 64 bits of a generator."""
    if hasattr(generator, "integers"):
        return generator.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True)
    return generator.randint(0, 2**64, dtype=np.uint64)


def key_of_seed(make: Callable[..., Any], seed: Any) -> Any:
    """The first 64 bits of a generator of that seed; so the numbers are those of a fresh generator that is passed in."""
    seed = seed.numpy() if hasattr(seed, "numpy") else seed
    return next_key(make(seed.item() if isinstance(seed, (np.ndarray, np.generic)) and not seed.ndim else seed))


def key_of_system(nothing: Any = None) -> int:
    return int.from_bytes(os.urandom(8), "little")


def is_generator(value: Any) -> bool:
    """Whether it is a generator of NumPy's, or stands for one."""
    return "numpy.random" in sys.modules and isinstance(value, (np.random.Generator, np.random.RandomState))


def seeded(recorder: Recorder, kind: type, make: Callable[..., Any], seed: Any = None) -> Any:
    """`np.random.default_rng(seed)` in a traced function."""
    if isinstance(seed, Stream):
        return seed
    if seed is None:
        return Stream(recorder, kind, Feed(None, key=key_of_system))
    if isinstance(seed, Array):
        feed = recorder.feed_of(seed.storage.value) if seed.leaf is None else Feed(seed.leaf)
        if feed is not None and feed.leaf is not None and not seed.steps:
            return Stream(recorder, kind, Feed(feed.leaf, key=partial(key_of_seed, make)))
        seed = seed.__index__()  # asks for the value: the argument becomes static
    if isinstance(seed, np.random.BitGenerator):
        raise UnsupportedFunction(
            "a generator of a bit generator is not supported in a jitted function; use np.random.default_rng(seed)"
        )
    key = np.asarray(key_of_seed(make, seed))
    return Stream(recorder, kind, Feed(None, key=lambda nothing: key))


# -- who traces ----------------------------------------------------------------------------------------------------------

_tracing = threading.local()


def _recorder() -> Recorder | None:
    """The recorder of the trace that this thread is in, if any."""
    return getattr(_tracing, "recorder", None)


def stream_of(recorder: Recorder, generator: Any) -> Stream:
    """The stream for a generator that the function found."""
    if id(generator) not in recorder.streams:
        recorder.streams[id(generator)] = Stream(
            recorder, type(generator), Feed(None, key=lambda nothing: next_key(generator))
        )
    return recorder.streams[id(generator)]


class StandIn:
    """Stands for a generator in a global, a closure or an object."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._elsewhere = 0

    __class__ = property(lambda self: type(self._generator))

    def __getattr__(self, name: str) -> Any:
        recorder = _recorder()
        if recorder is None:
            self._elsewhere += 1  # another thread draws
            return getattr(self._generator, name)
        return getattr(stream_of(recorder, self._generator), name)

    def __repr__(self) -> str:
        return repr(self._generator)


class NameStandIn:
    """Stands for a function or class of numpy.random; `isinstance` works with it as with the class."""

    def __init__(self, original: Any, traced: Callable[..., Any]) -> None:
        self._original = original
        self._traced = traced
        self._elsewhere = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = _recorder()
        if recorder is None or of_library(sys._getframe(1)):
            self._elsewhere += recorder is None
            return self._original(*args, **kwargs)
        try:
            return self._traced(recorder, *args, **kwargs)
        except UnsupportedFunction as error:
            told = str(error.args[0])
            error.args = (told if "\n  " in told else told + at_line(user_location()),)
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, self._original)

    def __subclasscheck__(self, kind: Any) -> bool:
        return issubclass(kind, self._original)


def _refused(name: str) -> Callable[..., Any]:
    def refuse(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunction(
            f"np.random.{name} is not supported in a jitted function; make the generator with np.random.default_rng(seed)"
        )

    return refuse


def _of_global(name: str) -> Callable[..., Any]:
    def draw(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        return getattr(stream_of(recorder, np.random.mtrand._rand), name)(*args, **kwargs)

    return draw


def _names() -> dict[str, NameStandIn]:
    """What the names of numpy.random give way to."""
    with _lock:
        if _stand_ins:
            return _stand_ins
        random = np.random
        made: dict[str, Callable[..., Any]] = {
            name: _of_global(name)
            for name in random.__all__
            if getattr(getattr(random, name), "__self__", None) is random.mtrand._rand or name in ("ranf", "sample")
        }
        for name in (
            "Generator",
            "BitGenerator",
            "MT19937",
            "Philox",
            "PCG64",
            "PCG64DXSM",
            "SFC64",
            "SeedSequence",
            "seed",
        ):
            made[name] = _refused(name)
        for name, kind in (("default_rng", random.Generator), ("RandomState", random.RandomState)):
            made[name] = partial(_seeded_by, kind, getattr(random, name))
        _stand_ins.update({name: NameStandIn(getattr(random, name), traced) for name, traced in made.items()})
    return _stand_ins


def _seeded_by(kind: type, make: Callable[..., Any], recorder: Recorder, seed: Any = None) -> Any:
    return seeded(recorder, kind, make, seed)


_stand_ins: dict[str, NameStandIn] = {}
_lock = threading.Lock()


# -- the time of a trace -------------------------------------------------------------------------------------------------

_replaced: dict[Any, tuple[Place, Any, int]] = {}
"""What stands where a stand-in is now: by the place, with the number of traces that want it so."""


@contextmanager
def traced_draws(recorder: Recorder, function: Callable[..., Any], statics: Iterable[Any]) -> Iterator[None]:
    """Within, random numbers that this thread draws are recorded: from the generators that `function` and the `statics` reach, and by the functions of
    numpy.random. Raises TraceError at the end where numbers were drawn from one of them all the same."""
    if "numpy.random" not in sys.modules:
        yield
        return
    wanted, generators = _found((function, *statics))
    _replace(wanted)
    before = [(_elsewhere(stand_ins), _state(generator)) for generator, stand_ins in generators]
    outer, _tracing.recorder = _recorder(), recorder
    try:
        yield
        after = [(_state(generator), _elsewhere(stand_ins)) for generator, stand_ins in generators]
    finally:
        _tracing.recorder = outer
        _restore([place for place, _ in wanted])
    for (others, state), (state_after, others_after) in zip(before, after, strict=True):
        if state != state_after and others == others_after:
            raise UnseenDraw(
                f"{getattr(function, '__qualname__', function)} draws random numbers while it is traced, in a way that is not seen, and they would be the "
                "same at every call; pass the generator as an argument, or draw outside and pass the array"
            )


class UnseenDraw(TraceError):
    """A generator went on during the trace, and not by a name that stood for it."""


def _elsewhere(stand_ins: list[Any]) -> int:
    return sum(stand_in._elsewhere for stand_in in stand_ins)


def with_draws_seen(trace: Callable[[], Result]) -> Result:
    """What `trace` returns. It is called again where a generator went on unseen, as long as that may have been another thread, in the midst of
    a draw when the trace began."""
    for _ in range(3):
        try:
            return _with_names_seen(trace)
        except UnseenDraw:
            if threading.active_count() == 1:
                raise
    return _with_names_seen(trace)


def _with_names_seen(trace: Callable[[], Result]) -> Result:
    """What `trace` returns; where the function was the first to use numpy.random, which stands for itself then, it is traced once more."""
    if "numpy.random" in sys.modules:
        return trace()
    try:
        traced = trace()
    except Exception:
        if "numpy.random" not in sys.modules:
            raise
        return trace()
    return traced if "numpy.random" not in sys.modules else trace()


Wanted = list[tuple[Place, Any]]


def _found(roots: tuple[Any, ...]) -> tuple[Wanted, list[tuple[Any, list[Any]]]]:
    """The places of what gives way, with what stands there; and the generators, with what stands for each."""
    names = _names()
    by_original = {id(stand_in._original): stand_in for stand_in in names.values()}
    wanted: Wanted = [(Place(vars(np.random), name), stand_in) for name, stand_in in names.items()]
    generators: dict[int, tuple[Any, list[Any]]] = {0: (np.random.mtrand._rand, list(names.values()))}
    for place, value in places(
        roots, lambda value: is_generator(value) or id(value) in by_original or type(value) is NameStandIn
    ):
        if not is_generator(value):
            wanted.append((place, by_original.get(id(value), value)))
        elif type(value) is not Stream:
            generator = value._generator if type(value) is StandIn else value
            _, (stand_in,) = generators.setdefault(id(generator), (generator, [StandIn(generator)]))
            wanted.append((place, stand_in))
    return wanted, list(generators.values())


def _replace(wanted: Wanted) -> None:
    with _lock:
        for place, stand_in in wanted:
            _, original, count = _replaced.get(place.key, (place, place.get(), 0))
            if not count:
                place.set(stand_in)
            _replaced[place.key] = (place, original, count + 1)


def _restore(wanted: list[Place]) -> None:
    with _lock:
        for place in wanted:
            kept, original, count = _replaced[place.key]
            if count > 1:
                _replaced[place.key] = (kept, original, count - 1)
                continue
            del _replaced[place.key]
            if type(place.get()) in (StandIn, NameStandIn):  # else the function has put something else there
                place.set(original)


def _state(generator: Any) -> str:
    """A generator's state, as text that can be compared."""
    if hasattr(generator, "bit_generator"):
        return repr(generator.bit_generator.state)
    name, keys, *rest = generator.get_state()
    return repr((name, np.asarray(keys).tobytes(), rest))
