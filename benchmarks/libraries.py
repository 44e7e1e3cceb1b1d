"""The libraries that are measured: for each, how it takes a row's arguments, compiles its function and is waited for.

Making one imports its package; where that fails, or the device is not there, `Missing` says why.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from functions import Arrays, Row
from measure import as_list

Call = Callable[[], Any]


class Missing(Exception):
    """The library is not here, or does not run on the device; the message says why."""


class NotForThis(Exception):
    """The library does not do this row."""


def required(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken installation counts as none
        raise Missing(
            "not installed" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: {error}"
        ) from None


class Library:
    """`prepare` makes a call that starts a row's function; `wait` returns when a result is there."""

    name = ""
    packages: tuple[str, ...] = ()

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        raise NotImplementedError

    def wait(self, result: Any) -> None:
        """Most libraries return when the result is there."""

    def waiting(self, call: Call) -> Call:
        """The call with its waiting."""
        return call

    def read(self, result: Any) -> list[np.ndarray]:
        """A result as NumPy arrays."""
        return [np.asarray(part) for part in as_list(result)]


class Numpy(Library):
    name = "numpy"
    packages = ("numpy",)

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        function = row.function
        return lambda: function(np, *arrays)


class Numfuse(Library):
    name = "numfuse"
    packages = ("numfuse", "numba", "llvmlite")

    def __init__(self) -> None:
        self.jit = required("numfuse").jit

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        function = self.jit(row.bound(np), target="cpu")
        return lambda: function(*arrays)


class Jax(Library):
    """`jax.jit`, with 64-bit types. Arguments are on the device before the clock starts."""

    name = "jax"
    packages = ("jax", "jaxlib")

    def __init__(self, device: str = "cpu") -> None:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        if device == "cpu":
            os.environ.setdefault("JAX_PLATFORMS", "cpu")
        self.jax = required("jax")
        self.namespace = required("jax.numpy")
        self.jax.config.update("jax_enable_x64", True)
        found = self.jax.default_backend()
        if found != ("cpu" if device == "cpu" else "gpu"):
            raise Missing(f"this JAX runs on {found}")

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        function = self.jax.jit(row.bound(self.namespace))
        given = [self.jax.device_put(array) for array in arrays]
        return lambda: function(*given)

    def wait(self, result: Any) -> None:
        self.jax.block_until_ready(result)

    def waiting(self, call: Call) -> Call:
        if isinstance(call(), tuple):
            return lambda: self.jax.block_until_ready(call())
        return lambda: call().block_until_ready()


class Torch(Library):
    """`torch.compile`, as it is by default, for one shape at a time."""

    name = "torch"
    packages = ("torch",)

    def __init__(self, device: str = "cpu") -> None:
        self.torch = required("torch")
        self.device = device
        if device != "cpu" and not self.torch.cuda.is_available():
            raise Missing("this torch finds no GPU")
        self.namespace = torch_namespace(self.torch)

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        self.torch._dynamo.reset()
        function = self.torch.compile(row.bound(self.namespace), dynamic=False)
        given = [self.torch.from_numpy(array).to(self.device) for array in arrays]
        return lambda: function(*given)

    def wait(self, result: Any) -> None:
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def read(self, result: Any) -> list[np.ndarray]:
        return [part.cpu().numpy() for part in as_list(result)]


def torch_namespace(torch: Any) -> Any:
    """The few functions of NumPy that the rows use, under NumPy's names."""

    class Namespace:
        exp, log, sqrt, tanh, abs, where = torch.exp, torch.log, torch.sqrt, torch.tanh, torch.abs, torch.where

        @staticmethod
        def maximum(x: Any, low: float) -> Any:
            return torch.clamp_min(x, low)

        @staticmethod
        def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return x.max() if axis is None else torch.amax(x, dim=axis, keepdim=keepdims)

        @staticmethod
        def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return x.sum() if axis is None else torch.sum(x, dim=axis, keepdim=keepdims)

        @staticmethod
        def mean(x: Any, axis: Any, keepdims: bool = False) -> Any:
            return torch.mean(x, dim=axis, keepdim=keepdims)

        @staticmethod
        def var(x: Any, axis: Any, keepdims: bool = False) -> Any:
            return torch.var(x, dim=axis, correction=0, keepdim=keepdims)

        @staticmethod
        def std(x: Any, axis: Any, keepdims: bool = False) -> Any:
            return torch.std(x, dim=axis, correction=0, keepdim=keepdims)

    return Namespace


class Numexpr(Library):
    """Elementwise rows only. Two results are two expressions, each from the start."""

    name = "numexpr"
    packages = ("numexpr",)

    def __init__(self) -> None:
        self.numexpr = required("numexpr")

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        if not row.expressions:
            raise NotForThis("elementwise functions only")
        names = row.pieces(*arrays) if row.pieces else dict(zip(row.names, arrays, strict=True))
        evaluate, expressions = self.numexpr.evaluate, row.expressions
        if len(expressions) == 1:
            (expression,) = expressions
            return lambda: evaluate(expression, local_dict=names)
        return lambda: tuple([evaluate(expression, local_dict=names) for expression in expressions])


class CupyFuse(Library):
    """`cupy.fuse`, on the GPU."""

    name = "cupy.fuse"
    packages = ("cupy", "cupy-cuda12x", "cupy-cuda13x")

    def __init__(self) -> None:
        self.cupy = required("cupy")
        try:
            count = self.cupy.cuda.runtime.getDeviceCount()
        except Exception as error:
            raise Missing(f"{type(error).__name__}: {error}") from None
        if not count:
            raise Missing("this CuPy finds no GPU")

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        function = self.cupy.fuse()(row.bound(self.cupy))
        given = [self.cupy.asarray(array) for array in arrays]
        return lambda: function(*given)

    def wait(self, result: Any) -> None:
        self.cupy.cuda.runtime.deviceSynchronize()

    def read(self, result: Any) -> list[np.ndarray]:
        return [self.cupy.asnumpy(part) for part in as_list(result)]


def opened(makers: dict[str, Callable[[], Library]], wanted: Sequence[str]) -> tuple[list[Library], dict[str, str]]:
    """Those of the wanted libraries that are here, and why the others are not."""
    here, missing = [], {}
    for name in wanted:
        try:
            here.append(makers[name]())
        except Missing as reason:
            missing[name] = str(reason)
    return here, missing


ON_CPU: dict[str, Callable[[], Library]] = {
    "numpy": Numpy,
    "numfuse": Numfuse,
    "jax": Jax,
    "torch": Torch,
    "numexpr": Numexpr,
}
