"""The libraries that are measured: for each, how it takes a row's arguments, compiles its function and is waited for.

Making one imports its package; where that fails, or the device is not there, `Missing` says why.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from functions import torch_namespace
from measure import as_list
from rows import SMALL_ROWS, Arrays, Row

Call = Callable[[], Any]

LITERAL = re.compile(r"(?<![\w.])\d+\.\d+")


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

    def clear(self) -> None:
        """Gives memory back that the library keeps."""

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

    def clear(self) -> None:
        if self.device != "cpu":
            self.torch.cuda.empty_cache()

    def read(self, result: Any) -> list[np.ndarray]:
        return [part.cpu().numpy() for part in as_list(result)]


class Numexpr(Library):
    """Elementwise rows only. Two results are two expressions, each from the start. Literals are float64 there and make the whole expression
    so; in float32 rows each gets a name and that type."""

    name = "numexpr"
    packages = ("numexpr",)

    def __init__(self) -> None:
        self.numexpr = required("numexpr")

    def prepare(self, row: Row, arrays: Arrays) -> Call:
        if not row.expressions:
            raise NotForThis("elementwise functions only")
        names = row.pieces(*arrays) if row.pieces else dict(zip(row.names, arrays, strict=True))
        evaluate, expressions = self.numexpr.evaluate, row.expressions
        if row.dtype == "f4":
            literals = sorted({found for text in expressions for found in LITERAL.findall(text)})
            short = {literal: f"c{k}" for k, literal in enumerate(literals)}
            names = {**names, **{name: np.float32(literal) for literal, name in short.items()}}
            expressions = tuple([LITERAL.sub(lambda found: short[found[0]], text) for text in expressions])
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

    def clear(self) -> None:
        self.cupy.get_default_memory_pool().free_all_blocks()

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

ON_GPU: dict[str, Callable[[], Library]] = {
    "torch": lambda: Torch("cuda"),
    "jax": lambda: Jax("gpu"),
    "cupy.fuse": CupyFuse,
}


def tried(name: str, seconds: float = 300.0) -> str:
    """Opens a library for the GPU in a process of its own and computes something there, so that a crash is that process's end alone. Returns why
    it does not work; nothing where it does."""
    code = f"import libraries; libraries.try_out({name!r})"
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no result after {seconds:.0f} s"
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "" if done.returncode == 0 else f"{said[-1] if said else 'no reason given'} (exit code {done.returncode})"


def try_out(name: str) -> None:
    """Ends the process with the reason where the library cannot run the smallest row."""
    row = SMALL_ROWS[0]
    try:
        library = ON_GPU[name]()
        result = library.prepare(row, row.arguments())()
        library.wait(result)
        library.read(result)
    except Missing as reason:
        raise SystemExit(str(reason)) from None
