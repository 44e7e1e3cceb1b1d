"""What the command line prints, as text."""

from __future__ import annotations

import argparse
import ast
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from numfuse.compiler.ahead import compile_ahead
from numfuse.compiler.graph import Graph
from numfuse.compiler.interchange import graph_as_dot, graph_as_json
from numfuse.compiler.jit import JitFunction, jit
from numfuse.compiler.lowered import Lowered
from numfuse.compiler.pipeline import Trail, optimize
from numfuse.compiler.targets import find_target
from numfuse.compiler.types import Spec, parse_spec
from numfuse.runtime.cache import disk_cache

STAGES = ("traced", "optimized", "fused", "kernels", "ptx", "roofline")


class UsageError(Exception):
    """The command is written wrongly; says how to write it."""


# -- dump ----------------------------------------------------------------------------------------------------------------


def dump(options: argparse.Namespace) -> str:
    """The stage that was asked for."""
    if options.stage == "ptx" and options.target != "cuda":
        raise UsageError("--stage ptx is for --target cuda")
    if options.stage == "roofline" and options.format != "text":
        raise UsageError("--stage roofline is a table: it has no other --format than text")
    if options.format == "dot" and options.stage in ("kernels", "ptx") and options.after is None:
        raise UsageError(f"--format dot is for graphs: --stage traced, optimized or fused, not {options.stage}")
    check_arch(options)
    function = find_function(options.function)
    arguments = arguments_of(function, options.arg)
    traced = function.trace(**arguments)
    target = find_target(options.target, bool(traced.options.get("fastmath")))
    if options.after is not None:
        return graph_text(optimize(traced.graph, target, last=options.after), options.format)
    if options.stage == "traced":
        return graph_text(traced.graph, options.format)
    if options.stage == "optimized":
        trail = Trail()
        optimize(traced.graph, target, last="tidy", trail=trail)
        return graph_text(trail.stages[-1].graph, options.format)
    lowered = traced.lower(target=options.target, arch=options.arch)
    if options.stage == "fused":
        return graph_text(lowered.graph, options.format)
    if options.stage == "roofline":
        return str(lowered.compile().roofline(**{name: drawn(value) for name, value in arguments.items()}))
    if options.stage == "ptx":
        return ptx_text(lowered, options.format)
    return kernels_json(lowered) if options.format == "json" else lowered.as_text()


def drawn(value: Any) -> Any:
    """An argument of that type: floats between 0.5 and 1.5, integers and bools 0 and 1; values as they are."""
    if not isinstance(value, Spec):
        return value
    rng = np.random.default_rng(0)
    if value.dtype.kind in "biu":
        return rng.integers(0, 2, value.shape).astype(value.dtype)
    return (rng.random(value.shape) + 0.5).astype(value.dtype)


def check_arch(options: argparse.Namespace) -> None:
    if options.arch is not None and options.target != "cuda":
        raise UsageError("--arch is for --target cuda")


def graph_text(graph: Graph, form: str) -> str:
    if form == "json":
        return json.dumps(graph_as_json(graph), indent=2)
    return graph_as_dot(graph) if form == "dot" else graph.as_text()


def ptx_text(lowered: Lowered, form: str) -> str:
    distinct = {kernel.name: kernel for kernel in lowered.kernels}
    if form == "json":
        return json.dumps(
            [{"name": name, "ptx": kernel.ptx, "resources": kernel.resources} for name, kernel in distinct.items()],
            indent=2,
        )
    return "\n".join(kernel.ptx for kernel in distinct.values())


def kernels_json(lowered: Lowered) -> str:
    kernels = [{"name": kernel.name, "source": kernel.source, **kernel.cost} for kernel in lowered.kernels]
    return json.dumps(
        {"target": lowered.device.describe(), "kernels": kernels, "library_calls": lowered.library_calls}, indent=2
    )


def find_function(place: str) -> JitFunction:
    """The function that `FILE.py:FUNCTION` or `package.module:FUNCTION` names, jitted. Runs the file."""
    file, _, name = place.rpartition(":")
    if not file or not name:
        raise UsageError(f"{place!r} does not name a function; write FILE.py:FUNCTION or package.module:FUNCTION")
    found = module = load(file)
    for part in name.split("."):
        if not hasattr(found, part):
            names = [
                n
                for n, value in vars(module).items()
                if callable(value) and getattr(value, "__module__", "") == module.__name__
            ]
            raise UsageError(f"{file} has no function {name!r}; it has {', '.join(names) or 'none'}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{name} in {file} is not a function")
    return found if isinstance(found, JitFunction) else jit(found)


@functools.cache
def load(file: str) -> Any:
    """The module that a file or a dotted name stands for, run once."""
    path = Path(file)
    if not file.endswith(".py") and not path.is_file():
        sys.path.insert(0, os.getcwd())
        try:
            return importlib.import_module(file)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{file}.".startswith(f"{error.name}."):
                raise  # the module is there, and lacks another
            raise UsageError(f"there is no module {file}; write FILE.py:FUNCTION or package.module:FUNCTION") from None
    if not path.is_file():
        raise UsageError(f"there is no file {file}")
    name_in_python = path.stem if path.stem not in sys.modules else f"{path.stem}_dumped"
    spec = importlib.util.spec_from_file_location(name_in_python, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name_in_python] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


def arguments_of(function: JitFunction, given: list[str]) -> dict[str, Any]:
    """The call's arguments from `NAME=TYPE` and `NAME=VALUE`, in any order."""
    parameters = inspect.signature(function.function).parameters
    values: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign:
            raise UsageError(f"--arg {text!r}: write NAME=TYPE, like x=f32[1024,1024]")
        if name not in parameters:
            raise UsageError(
                f"--arg {text!r}: {function.function.__name__} has no argument {name!r}; it has {', '.join(parameters)}"
            )
        values[name] = argument(text, value.strip())
    missing = [
        name
        for name, p in parameters.items()
        if name not in values and p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if missing:
        raise UsageError(f"the type of {missing[0]!r} is not given; add --arg '{missing[0]}=f32[1024,1024]'")
    return values


def argument(text: str, value: str) -> Any:
    if value.split("[")[0] in ("i8", "u8"):
        one, eight = ("int8", "int64") if value[0] == "i" else ("uint8", "uint64")
        raise UsageError(
            f"--arg {text!r}: {value[:2]} is one byte in graphs and eight in NumPy; write {one} or {eight}"
        )
    if "[" in value and not value.startswith("["):
        try:
            return parse_spec(value)
        except ValueError as error:
            raise UsageError(f"--arg {text!r}: {error}") from None
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        pass
    try:
        return parse_spec(value)
    except ValueError:
        raise UsageError(
            f"--arg {text!r}: {value!r} is neither a type like f32[1024,1024] nor a value like 3, 0.5 or 'edge'"
        ) from None


# -- compile -------------------------------------------------------------------------------------------------------------


class Also(str):
    """Among the values of `--arg`, the name of one more function."""


def compile_all(options: argparse.Namespace) -> str:
    """Compiles every function that was named; a line for each, and where the code is kept."""
    check_arch(options)
    named: list[tuple[str, list[str]]] = [(options.function, [])]
    for text in options.arg:
        if isinstance(text, Also):
            named.append((text, []))
        else:
            named[-1][1].append(text)
    functions = [(place, find_function(place)) for place, _ in named]
    calls = [arguments_of(function, given) for (_, function), (_, given) in zip(functions, named, strict=True)]
    lines = []
    for number, ((place, function), values) in enumerate(zip(functions, calls, strict=True)):
        told = f"{place} for {', '.join(f'{name}={value!r}' for name, value in values.items())}"
        if len(calls) > 1:
            print(f"numfuse: {number + 1} of {len(calls)}: {told}", file=sys.stderr, flush=True)
        (compiled,) = compile_ahead(function, values, target=options.target, arch=options.arch)
        kernels = len({kernel.name for kernel in compiled.kernels})
        lines.append(f"{told}: {kernels} kernel{'' if kernels == 1 else 's'}")
    kept = disk_cache().directory
    if kept is None:
        raise OSError("the code could not be kept: see the warning above")
    return "\n".join([*lines, f"in {kept}"])


# -- cache ---------------------------------------------------------------------------------------------------------------


def cache(action: str) -> str:
    kernels = disk_cache()
    if action == "path":
        return str(kernels.directory)
    entries = kernels.entries()
    if action == "clear":
        return f"removed {kernels.clear()} kernels"
    lines = [f"{'kernel':<28}{'target':<14}{'bytes':>9}  last used"]
    for entry in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        lines.append(f"{entry.name[:27]:<28}{entry.target:<14}{entry.nbytes:>9}  {used}")
    lines.append(f"{len(entries)} kernels, {sum(entry.nbytes for entry in entries)} bytes in {kernels.directory}")
    return "\n".join(lines)


# -- info ----------------------------------------------------------------------------------------------------------------

PACKAGES = (
    "numfuse",
    "numpy",
    "numba",
    "llvmlite",
    "networkx",
    "numba-cuda",
    "cuda-core",
    "cuda-bindings",
    "nvidia-nvvm",
    "nvidia-cublas",
)
SETTINGS = (
    "NUMFUSE_TARGET",
    "NUMFUSE_CACHE_DIR",
    "NUMFUSE_DISABLE_JIT",
    "NUMFUSE_LOG",
    "NUMBA_NUM_THREADS",
    "NUMBA_ENABLE_CUDASIM",
)


def info() -> str:
    """Versions, devices, toolkit, threads, cache and settings."""
    rows: list[tuple[str, str]] = [("python", f"{platform.python_version()} on {platform.platform()}")]
    rows += [(name, _told(lambda name=name: importlib.metadata.version(name))) for name in PACKAGES]  # type: ignore[misc]
    rows += [
        ("cpu", _told(cpu)),
        ("vector library", _told(vector_library)),
        ("gpu", _told(gpus)),
        ("cuda toolkit", _told(toolkit)),
    ]
    rows += [("default target", _told(default_target)), ("cache", _told(cache_size))]
    rows += [(name, os.environ[name]) for name in SETTINGS if name in os.environ]
    return "\n".join(f"{name:<16}{value}" for name, value in rows)


def _told(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def cpu() -> str:
    import llvmlite.binding as llvm

    from numfuse.runtime.cpu.threads import thread_count

    features = llvm.get_host_cpu_features()
    vectors = next((name for name in ("avx512f", "avx2", "avx", "neon") if features.get(name)), "no wide vectors")
    return f"{llvm.get_host_cpu_name()} ({vectors}), {thread_count()} threads"


def vector_library() -> str:
    from numfuse.runtime.cpu.compile import vector_library

    return "libmvec (glibc)" if vector_library() else "none: exp, log, sin, ... run one element at a time"


def gpus() -> str:
    from numfuse.runtime.cuda.driver import device_count, missing_packages

    if device_count() == 0:
        return "none (no driver, or no device)"
    if missing_packages():
        return f"{device_count()} found, but {', '.join(missing_packages())} not installed: pip install 'numfuse[cuda]'"
    from numfuse.runtime.cuda.gpu import gpu

    return f"{device_count()} found, using {gpu().name} ({gpu().arch})"


def toolkit() -> str:
    from numfuse.runtime.cuda.driver import missing_packages

    if missing_packages():
        return f"{', '.join(missing_packages())} not installed: pip install 'numfuse[cuda]'"
    from cuda.bindings import nvjitlink

    return f"nvJitLink {'.'.join(map(str, nvjitlink.version()))}: compiles for any architecture"


def default_target() -> str:
    from numfuse.runtime.devices import default_target

    return default_target()


def cache_size() -> str:
    kernels = disk_cache()
    entries = kernels.entries()
    return f"{kernels.directory}: {len(entries)} kernels, {sum(entry.nbytes for entry in entries)} bytes of at most {kernels.limit}"
