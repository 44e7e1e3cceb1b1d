"""NumPy's namespace on lazy arrays: `numfuse.numpy`.

Every name of NumPy's is there. What makes arrays makes lazy ones; functions of lazy arrays are recorded through NumPy's own protocols, or are NumPy's
on the host, where numfuse does not support them. Types, constants and what has nothing to do with arrays are NumPy's own. In a jitted function that is
being traced, the names are NumPy's.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numfuse.compiler.lazy import create, standard
from numfuse.compiler.lazy.recorder import recorder_of
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.recorder import tracing

SUBMODULES = ("linalg", "fft", "random", "emath")
VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")

MAKERS: dict[str, Callable[..., Any]] = {
    "array": create.array,
    "asarray": create.as_array,
    "asanyarray": create.as_array,
    "asfortranarray": create.contiguous("F"),
    "ascontiguousarray": create.contiguous("C"),
    "from_dlpack": create.from_dlpack,
    "zeros": create.filled(np.zeros, 0),
    "ones": create.filled(np.ones, 1),
    "empty": create.filled(np.empty, 0),
    "full": create.full,
}

PLAIN = frozenset(
    [
        "isscalar", "iterable", "issubdtype", "isdtype", "promote_types", "can_cast", "get_printoptions", "set_printoptions", "printoptions",
        "seterr", "geterr", "setbufsize", "getbufsize", "seterrcall", "geterrcall", "show_config", "show_runtime", "get_include", "info",
        "typename", "mintypecode", "base_repr", "binary_repr", "format_float_positional", "format_float_scientific", "frompyfunc",
        "broadcast_shapes", "asmatrix", "bmat", "require", "load", "nested_iters",
        "default_rng", "get_state", "set_state", "get_bit_generator", "set_bit_generator", "seed", "test",
    ]
)  # fmt: skip
"""Functions that are NumPy's own: they make no arrays, or arrays that are not plain ones."""


class LazyUfunc:
    """A ufunc of NumPy's whose results are lazy arrays."""

    def __init__(self, ufunc: np.ufunc) -> None:
        self._ufunc = ufunc
        self.__doc__ = ufunc.__doc__
        self.__name__ = ufunc.__name__

    __class__ = property(lambda self: np.ufunc)

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        if tracing() or any(isinstance(value, Array) for value in inputs[: self._ufunc.nin]):
            return self._ufunc(*inputs, **kwargs)
        if not _to_plain(inputs[self._ufunc.nin :], kwargs):
            for place, value in enumerate(inputs):
                if isinstance(value, (np.ndarray, list, tuple)):
                    lazy = create.of(value)
                    if not isinstance(lazy, Array):
                        break
                    return self._ufunc(*inputs[:place], lazy, *inputs[place + 1 :], **kwargs)
        return recorder_of().on_host(self._ufunc, inputs, kwargs, None)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ufunc, name)
        return calling(found) if name in ("reduce", "accumulate", "reduceat", "outer", "at") else found

    def __repr__(self) -> str:
        return repr(self._ufunc)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._ufunc

    def __hash__(self) -> int:
        return hash(self._ufunc)

    def __reduce__(self) -> Any:
        return self._ufunc.__reduce__()


def _to_plain(outs: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a result goes into an array of NumPy's."""
    out = kwargs.get("out", outs)
    return any(
        isinstance(part, np.ndarray) and not isinstance(part, Array)
        for part in (out if isinstance(out, tuple) else (out,))
    )


class Grid:
    """`np.mgrid`, `np.r_` and their kin."""

    def __init__(self, indexed: Any) -> None:
        self._indexed = indexed

    def __getitem__(self, key: Any) -> Any:
        return create.first_recorder((key,)).on_host(lambda key: self._indexed[key], (key,), {}, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._indexed, name)


def calling(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's whose results are lazy arrays."""
    of_ufunc = isinstance(getattr(function, "__self__", None), np.ufunc)
    dispatches = of_ufunc or hasattr(function, "_implementation") or function in standard.FUNCTIONS.values()

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if tracing():
            return function(*args, **kwargs)
        device = kwargs.pop("device", None)
        recorder = create.first_recorder((args, kwargs), device)
        if dispatches and create.first_of((args, kwargs)) is not None:
            return recorder.lifted(
                function(*args, **kwargs), (function, args, kwargs)
            )  # NumPy asks lazy arguments, if they stand where it looks
        return recorder.on_host(function, args, kwargs, None)

    return call


def wrapped(name: str, value: Any) -> Any:
    """What stands for NumPy's `value` in the namespace."""
    if isinstance(value, ModuleType):
        return Namespace(value) if name in SUBMODULES else value
    if isinstance(value, np.ufunc):
        return LazyUfunc(value)
    if name in PLAIN or name.startswith("_") or isinstance(value, type):
        return value
    if type(value).__name__ in ("MGridClass", "OGridClass", "RClass", "CClass"):
        return Grid(value)
    if callable(value):
        return calling(value)
    return value


def _extended() -> dict[str, Any]:
    """The functions that take more in the standard than in NumPy."""
    return {
        name: function if isinstance(function, type) else calling(function)
        for name, function in standard.FUNCTIONS.items()
    }


class Namespace(ModuleType):
    """A module of NumPy's, on lazy arrays."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__.replace("numpy", "numfuse.numpy", 1), module.__doc__)
        self._module = module
        self._names: dict[str, Any] = {**MAKERS, **_extended()} if module is np else {}
        if hasattr(module, "__all__"):
            self.__all__ = list(module.__all__)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__array_namespace_info__", "__array_api_version__", "__version__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = self.__dict__["_module"]
        if tracing() and name not in SUBMODULES and name not in standard.FUNCTIONS:
            return getattr(module, name)
        names = self.__dict__["_names"]
        if name not in names:
            names[name] = wrapped(name, getattr(module, name))
        return names[name]

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._module), *self._names})


@functools.cache
def numpy_namespace() -> Namespace:
    return Namespace(np)


def namespace_for(api_version: str | None) -> ModuleType:
    """The namespace `numfuse.numpy`, for a version of the array API standard."""
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(
            f"version {api_version!r} of the array API standard is not supported; {', '.join(VERSIONS)} are"
        )
    return importlib.import_module("numfuse.numpy")
