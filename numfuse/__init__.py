"""numfuse: decorate a NumPy function, get fused CPU and CUDA kernels you can read."""

from __future__ import annotations

import importlib
from typing import Any

from numfuse.compiler.ahead import compile_ahead
from numfuse.compiler.compiled import Compiled
from numfuse.compiler.define import GraphBuilder
from numfuse.compiler.graph import Graph, GraphError, Location, Node
from numfuse.compiler.jit import JitFunction, jit
from numfuse.compiler.lazy.create import asarray
from numfuse.compiler.lazy.fallback import FallbackWarning
from numfuse.compiler.lazy.recorder import evaluate
from numfuse.compiler.lowered import Kernel, Lowered
from numfuse.compiler.schedule import Schedule
from numfuse.compiler.staged import Traced
from numfuse.compiler.text import GraphSyntaxError
from numfuse.compiler.trace.errors import TracedValueError, TraceError, UnsupportedFunction
from numfuse.compiler.types import Spec, UnsupportedDtype, parse_spec, spec
from numfuse.declared import unique

__version__ = "0.1.0"

__all__ = [
    "Compiled",
    "FallbackWarning",
    "Graph",
    "GraphBuilder",
    "GraphError",
    "GraphSyntaxError",
    "JitFunction",
    "Kernel",
    "Location",
    "Lowered",
    "Node",
    "Schedule",
    "Spec",
    "TraceError",
    "Traced",
    "TracedValueError",
    "UnsupportedDtype",
    "UnsupportedFunction",
    "asarray",
    "compile_ahead",
    "evaluate",
    "jit",
    "parse_spec",
    "spec",
    "unique",
]


def __getattr__(name: str) -> Any:
    if name == "numpy":
        return importlib.import_module("numfuse.numpy")
    raise AttributeError(f"module 'numfuse' has no attribute {name!r}")
