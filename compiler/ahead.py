"""Compiling before the first call: at build or install time, so that later processes load native code from the disk cache."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numfuse.compiler.compiled import Compiled
from numfuse.compiler.jit import JitFunction, jit
from numfuse.compiler.tree import Instance

Call = tuple[tuple[Any, ...], dict[str, Any]]


def compile_ahead(
    function: Callable[..., Any],
    signatures: tuple[Any, ...] | Mapping[str, Any] | Sequence[tuple[Any, ...] | Mapping[str, Any]],
    *,
    target: str | None = None,
    arch: str | None = None,
) -> list[Compiled]:
    """Compiles a function for calls to come. Its kernels go into the disk cache, from which other processes on such a machine load them
    without Numba; in this process, calls of such arguments find the function compiled.

    function
        A jitted function, one to be jitted, or a jitted method of an object.
    signatures
        The arguments of a call as a tuple, or by name as a dict; or a list of these, to compile for several. An array may be given as its
        `numfuse.spec`, which means one in C order; numbers, strings and the like as themselves.
    target, arch
        As for `JitFunction.lower`, where it is another than the function's own: `target="cuda", arch="sm_90"` needs no GPU.

    Returns what was compiled, one for each signature. Raises TypeError for arguments that the function does not take, TraceError where it
    cannot be compiled as a whole.

    >>> import numfuse as nf
    >>> (compiled,) = nf.compile_ahead(lambda x, y: x + 2 * y, (nf.spec("f4", 1000), nf.spec("f4", 1000)))
    >>> compiled.kernels
    [<kernel function for cpu>]
    """
    jitted, first = _parts(function)
    several = signatures if isinstance(signatures, list) else [signatures]
    calls = [_call(jitted, first, place, given) for place, given in enumerate(several)]
    if arch is None and target in (None, jitted.options["target"]):
        return [jitted.ready(*args, **kwargs) for args, kwargs in calls]
    return [jitted.trace(*args, **kwargs).lower(target=target, arch=arch).compile() for args, kwargs in calls]


def _parts(function: Callable[..., Any]) -> tuple[JitFunction, tuple[Any, ...]]:
    """The jitted function, and of a method the object that it belongs to."""
    if isinstance(function, functools.partial):
        method = getattr(function.func, "__self__", None)
        if isinstance(method, JitFunction):
            return method, (Instance(function.args[0]),)
    return (function if isinstance(function, JitFunction) else jit(function)), ()


def _call(jitted: JitFunction, first: tuple[Any, ...], place: int, given: Any) -> Call:
    name = getattr(jitted.function, "__qualname__", repr(jitted.function))
    if isinstance(given, tuple):
        args, kwargs = (*first, *given), {}
    elif isinstance(given, Mapping):
        args, kwargs = first, dict(given)
    else:
        raise TypeError(
            f"signature {place + 1} of {name} is {given!r}; it is to be a tuple of arguments, like (numfuse.spec('f4', 1000), 0.5), "
            "or a dict of them by name"
        )
    try:
        inspect.signature(jitted.function).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"signature {place + 1} of {name}: {error}") from None
    return args, kwargs
