"""`jit`: a function that is traced at its first call with arguments of a kind, and runs as fused kernels from then on."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import is_not
from typing import Any, TypeVar, overload

import numpy as np
from numfuse.compiler.calls import Unfamiliar, kind_of, known_array, normal, share_memory, static_kind
from numfuse.compiler.compiled import Compiled
from numfuse.compiler.lazy.fallback import Fallback, Piecewise, listening, warn
from numfuse.compiler.leaves import Leaf, flatten_call, labels_of, leaf_of, owners_of
from numfuse.compiler.lowered import Lowered
from numfuse.compiler.schedule import Schedule
from numfuse.compiler.signatures import Signature, history, why_new
from numfuse.compiler.staged import Traced, trace_function
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.errors import TracedValueError, TraceError
from numfuse.compiler.trace.random import Stream
from numfuse.compiler.tree import Instance, Static, Tree
from numfuse.compiler.types import UnsupportedDtype
from numfuse.runtime import devices, log

ndarray = np.ndarray
T = TypeVar("T")


@dataclass
class Known:
    """What a call of a known kind runs: in general `compiled`, and where there is such code `entry`, which does a whole call; it is made at the first
    repeat."""

    compiled: Compiled | Fallback
    entry: Callable[..., Any] | None = None


def _not_known(*args: Any) -> Any:
    return NotImplemented


class JitFunction:
    """A jitted function. Call it as the function itself; `trace` and `lower` show what it becomes.

    The function is traced anew for each new combination of shapes, dtypes, strides and static values. Arguments may be arrays,
    numbers, and lists, tuples, dicts and dataclasses of them; numbers are traced (one kernel for all values), while bools, strings, None and
    what `static_argnames` names are plain Python values in the function. So are integers that the function needs the value of (an axis,
    a count): when a trace meets one, it starts again with that argument static.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any], owner: Any = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self._static = frozenset(options["static_argnames"])
        self._owner = owner
        self._fast: dict[Any, Known] = {}
        self._entry: Callable[..., Any] = _not_known
        self._known: dict[Signature, Compiled | Fallback] = {}
        self._bound: dict[int, JitFunction] = {}
        self._lock = threading.RLock()
        self._signature = inspect.signature(function)
        unknown = (self._static | frozenset(options["donate"])) - set(self._signature.parameters)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in self._signature.parameters.values())
        if unknown and not takes_any:
            raise ValueError(
                f"{function.__qualname__} has no argument {sorted(unknown)[0]!r}; it has {', '.join(self._signature.parameters)}"
            )
        self._static_places = self._places()
        self._warned = False
        self._disabled = os.environ.get("NUMFUSE_DISABLE_JIT", "0") not in ("", "0")

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self._call_method, instance)

    def __repr__(self) -> str:
        return f"<jit {getattr(self.function, '__qualname__', self.function)}>"

    # -- calling -----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            result = self._entry(*args)  # the last call's kind, checked in machine code
            if result is not NotImplemented:
                return result
        leaves: list[Any] = []
        try:
            key = self._kind(args, kwargs, leaves)
        except Unfamiliar:
            return self._call(args, kwargs)
        known = self._fast.get(key)
        if known is None:
            return self._call(args, kwargs, key)
        self._entry = known.entry or self._whole_call(known, key, kwargs)
        compiled = known.compiled
        if not kwargs and len(leaves) == len(args) and any(map(is_not, leaves, args)):  # arrays of other libraries
            result = self._entry(*leaves)
            if result is not NotImplemented:
                return result
        if not compiled.direct:
            return self._run(compiled, leaves, args, kwargs)
        return compiled.run(leaves, (args, kwargs))

    def _kind(self, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> Hashable:
        if self._static:
            places, names = self._static_places, self._static
            key = [static_kind(a) if k in places else kind_of(a, leaves) for k, a in enumerate(args)]
            key += [(n, static_kind(a) if n in names else kind_of(a, leaves)) for n, a in kwargs.items()]
            return tuple(key)
        if not kwargs:
            return tuple([kind_of(argument, leaves) for argument in args])
        key = [kind_of(argument, leaves) for argument in args]
        return (*key, *[(name, kind_of(argument, leaves)) for name, argument in kwargs.items()])

    def _call_method(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        return self(Instance(instance), *args, **kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Hashable = None) -> Any:
        """The general way. The call is known by `key` from then on, where it has one."""
        if self._disabled:
            return self._plain(args, kwargs)
        try:
            leaves, names, tree = self._flatten(args, kwargs)
            if any(isinstance(leaf, (Array, Stream)) for leaf in leaves):  # within another trace: part of it
                return self._plain(args, kwargs)
            leaves = [known_array(leaf) for leaf in leaves]
            kinds = [leaf_of(leaf, name) for leaf, name in zip(leaves, names, strict=True)]
        except (TraceError, UnsupportedDtype) as error:
            self._warn(error)
            return self._plain(args, kwargs)
        signature = self._signature_of(tree, kinds)
        compiled = self._known.get(signature)
        if compiled is None:
            with self._lock:
                compiled = self._known.get(signature)
                if compiled is None:
                    try:
                        compiled = self._compiled(signature, names, leaves)
                    except (TraceError, UnsupportedDtype) as error:
                        if self._make_static(error, tree, kinds):
                            return self._call(args, kwargs)
                        self._warn(error)
                        compiled = self._known[signature] = self._fallback(error, tree)
                    except Exception:
                        if not share_memory(leaves):
                            raise
                        # the error may be one of arrays that lie apart, as traces take them to
                        return self._plain(args, kwargs)
        if key is not None:
            self._fast[key] = Known(compiled)
        return self._run(compiled, leaves, args, kwargs)

    def _whole_call(self, known: Known, key: Any, kwargs: dict[str, Any]) -> Callable[..., Any]:
        positional = not kwargs and not self._static
        known.entry = (known.compiled.entry(key) if positional else None) or _not_known
        return known.entry

    def _signature_of(self, tree: Tree, kinds: Sequence[Leaf]) -> Signature:
        positional, _ = tree.children
        return Signature(tree, tuple(kinds), tuple(labels_of(self._signature, len(positional.children))))

    def _scheduled(self, lowered: Lowered, leaves: Sequence[Any] | None = None) -> Lowered:
        """With the schedules that measuring finds, or found before; `leaves`: the arguments to measure with."""
        if not self.options["autotune"]:
            return lowered
        from numfuse.compiler.tuning import tuned

        return tuned(lowered, leaves, self.options["autotune"])

    def _compiled(self, signature: Signature, names: Sequence[str], leaves: Sequence[Any] | None = None) -> Compiled:
        """Compiles for one more signature."""
        if log.wanted("compile"):
            why = why_new(signature, list(self._known))
            log.message("compile", f"{self!r} for {signature.as_text()}: {why}")
        lowered = self._trace(signature.tree, signature.kinds, names).lower()
        compiled = self._scheduled(lowered, leaves).compile()
        self._known[signature] = compiled
        return compiled

    def _run(
        self, compiled: Compiled | Fallback, leaves: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if compiled.overlapping(leaves):
            log.message("compile", f"{self!r}: arguments that it writes to share memory; NumPy runs it")
            return self._plain(args, kwargs)
        return compiled.run(leaves, (args, kwargs), None if compiled.plain else [normal(leaf) for leaf in leaves])

    def _plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args = tuple([arg.value if isinstance(arg, Instance) else arg for arg in args])
        return self.function(*args, **kwargs)

    def _places(self) -> frozenset[int]:
        """The positions of the static arguments."""
        return frozenset([k for k, name in enumerate(self._signature.parameters) if name in self._static])

    def _trace(self, tree: Tree, kinds: Sequence[Leaf], names: Sequence[str]) -> Traced:
        return trace_function(
            self.function, tree, kinds, names, {**self.options, "static_argnames": tuple(self._static)}
        )

    def _warn(self, error: Exception) -> None:
        """Says once that the function is not compiled as a whole, and why; raises `error` where that is not allowed."""
        if not self.options["fallback"]:
            raise error
        if not self._warned:
            self._warned = True
            warn(self.function, error, 4)

    def _fallback(self, error: Exception, tree: Tree) -> Fallback:
        return Fallback(self.function, tree, error, self.options["target"])

    def _make_static(self, error: Exception, tree: Tree, kinds: Sequence[Leaf]) -> bool:
        """Makes the integers static whose value the function asked for; False where it asked for something else."""
        if not isinstance(error, TracedValueError):
            return False
        owners = owners_of(tree, self._signature)
        wanted = {owners[leaf] for leaf in error.leaves} & set(self._signature.parameters)
        leaves = [kind for owner, kind in zip(owners, kinds, strict=True) if owner in wanted]
        if not wanted or any(kind.weak is not int for kind in leaves):
            return False
        log.message("compile", f"{self!r} needs the value of {', '.join(sorted(wanted))}: static from now on")
        self._static |= wanted
        self._static_places = self._places()
        self._fast.clear()
        self._entry = _not_known
        return True

    def _flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], list[str], Tree]:
        if self._static:
            bound = self._signature.bind(*args, **kwargs)
            for name in self._static & bound.arguments.keys():
                bound.arguments[name] = Static(bound.arguments[name])
            args, kwargs = bound.args, bound.kwargs
        leaves: list[Any] = []
        names: list[str] = []
        return leaves, names, flatten_call(self._signature, args, kwargs, leaves, names)

    # -- stages ------------------------------------------------------------------------------------------------------

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The function as a graph, for these arguments: arrays, or specs of them (`numfuse.spec`)."""
        return self._with_static_integers(self._trace, args, kwargs)

    def ready(self, *args: Any, **kwargs: Any) -> Compiled:
        """What calls with such arguments run from then on: arrays, or specs of them. Raises TraceError where the function cannot be compiled as a
        whole, with `fallback=True` too."""

        def compiled(tree: Tree, kinds: Sequence[Leaf], names: Sequence[str]) -> Compiled:
            signature = self._signature_of(tree, kinds)
            with self._lock:
                known = self._known.get(signature)
                return known if isinstance(known, Compiled) else self._compiled(signature, names)

        return self._with_static_integers(compiled, args, kwargs)

    def _with_static_integers(
        self, make: Callable[[Tree, Sequence[Leaf], Sequence[str]], T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        """What `make` makes of a call, with those integers static whose values the function needs."""
        while True:
            leaves, names, tree = self._flatten(args, kwargs)
            kinds = [leaf_of(known_array(leaf), name) for leaf, name in zip(leaves, names, strict=True)]
            try:
                return make(tree, kinds, names)
            except TracedValueError as error:
                if not self._make_static(error, tree, kinds):
                    raise

    def explain(self) -> str:
        """What the function has been compiled for so far, and why each was compiled anew: which shape, dtype, strides or static value was another."""
        remark = {Compiled: "", Fallback: " (not compiled as a whole: see `lower`)"}
        return history(repr(self), {signature: remark[type(made)] for signature, made in self._known.items()})

    def lower(
        self, *args: Any, target: str | None = None, arch: str | None = None, **kwargs: Any
    ) -> Lowered | Piecewise:
        """The function as kernels, in one step: `f.trace(*args).lower(target=..., arch=...)`.

        With `fallback=True`, where the function cannot be traced: what a call with (copies of) these arguments runs.
        """
        try:
            return self._scheduled(self.trace(*args, **kwargs).lower(target=target, arch=arch))
        except (TraceError, UnsupportedDtype) as error:
            if not self.options["fallback"]:
                raise
            args, kwargs = copy.deepcopy((args, kwargs))
            with listening() as steps:
                self(*args, **kwargs)
            return Piecewise(error, steps)


@overload
def jit(
    fn: Callable[..., Any],
    *,
    target: str = "auto",
    static_argnames: str | Sequence[str] = (),
    fastmath: bool = False,
    donate: str | Sequence[str] = (),
    fallback: bool = False,
    schedule: Schedule | None = None,
    autotune: bool | float = False,
) -> JitFunction: ...


@overload
def jit(
    fn: None = None,
    *,
    target: str = "auto",
    static_argnames: str | Sequence[str] = (),
    fastmath: bool = False,
    donate: str | Sequence[str] = (),
    fallback: bool = False,
    schedule: Schedule | None = None,
    autotune: bool | float = False,
) -> Callable[[Callable[..., Any]], JitFunction]: ...


def jit(
    fn: Callable[..., Any] | None = None,
    *,
    target: str = "auto",
    static_argnames: str | Sequence[str] = (),
    fastmath: bool = False,
    donate: str | Sequence[str] = (),
    fallback: bool = False,
    schedule: Schedule | None = None,
    autotune: bool | float = False,
) -> Any:
    """Compiles a NumPy function into fused kernels: `@jit`, `@jit(...)` or `jit(f)`.

    target
        `auto` (a GPU where there is one, else the CPU), `cpu`, `cuda`, or `cudasim` (Numba's CUDA simulator).
    static_argnames
        Names of arguments that the function needs as plain Python values (sizes, axes, flags). They must be hashable; each new value
        is compiled anew.
    fastmath
        Lets the compiler reorder and approximate floating-point arithmetic, and assume that there are no NaNs and infinities. Chains of matrix products are
        multiplied in the order that takes the fewest multiplications: `(a @ b) @ v` as `a @ (b @ v)`; `lower(...).explain()` tells which.
    donate
        Names of array arguments that the caller does not use again: a result of the same shape and dtype may take their memory.
    fallback
        Where the function cannot be traced (conditions on values, shapes that depend on values, functions that are not supported), it runs as it is
        written, with lazy arrays: what can be fused is, and the rest is NumPy's, on the host. Says so once, in a `FallbackWarning`.
    schedule
        A `Schedule`: how kernels are cut up and shared, where it is not to be as the model chooses.
    autotune
        Whether the first call with arguments of a new kind measures, for each kernel, other schedules than the model's, for up to 10 seconds or as
        many as given. What was fastest is kept on disk, for this function and this machine. Numbers may be added up in another order.

    Raises ValueError for an unknown target or argument name; what the function does that cannot be traced is a
    `TraceError` at the first call, naming the line.

    >>> import numpy as np
    >>> @jit
    ... def hypotenuse(a, b):
    ...     return np.sqrt(a * a + b * b)
    >>> hypotenuse(np.array([3.0]), np.array([4.0]))
    array([5.])
    """
    if fn is None:
        return functools.partial(
            jit,
            target=target,
            static_argnames=static_argnames,
            fastmath=fastmath,
            donate=donate,
            fallback=fallback,
            schedule=schedule,
            autotune=autotune,
        )
    if target not in devices.TARGETS:
        raise ValueError(f"unknown target {target!r}; the targets are {', '.join(devices.TARGETS)}")
    if isinstance(fn, JitFunction):
        fn = fn.function
    if not callable(fn):
        raise TypeError(f"jit takes a function, not {type(fn).__name__}")
    options = {
        "target": target,
        "static_argnames": _names(static_argnames),
        "fastmath": fastmath,
        "donate": _names(donate),
        "fallback": fallback,
        "schedule": schedule,
        "autotune": autotune,
    }
    return JitFunction(fn, options)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def call_compiled(compiled: Compiled, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a compiled function as the traced one is called, after checking that the arguments are of its kind."""
    leaves = checked_leaves(compiled, args, kwargs)
    return compiled.run(leaves, (args, kwargs), [normal(leaf) for leaf in leaves])


def checked_leaves(compiled: Compiled, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The leaves of a call. Raises TypeError where they are not of the kind that it was compiled for."""
    leaves, names, tree = JitFunction(compiled.traced.function, compiled.traced.options)._flatten(args, kwargs)
    leaves = [known_array(leaf) for leaf in leaves]
    expected = compiled.traced.leaves
    if tree != compiled.traced.arguments or len(leaves) != len(expected):
        raise TypeError("the compiled function was traced with arguments of another structure, or other static values")
    for leaf, name, kind in zip(leaves, names, expected, strict=True):
        given = leaf_of(leaf, name)
        if not kind.takes(given):
            raise TypeError(
                f"argument {name!r} is {given.spec}; the function was compiled for {kind.spec} of another layout or kind"
            )
    return leaves
