"""The ways to run a program: graph evaluation, printed kernels as plain Python, compiled kernels, the simulator."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numfuse.compiler.graph import Graph
from numfuse.compiler.lower.program import Program as Lowered
from numfuse.compiler.schedule import choices_for
from numfuse.compiler.trace.errors import TraceError
from numfuse.compiler.types import UnsupportedDtype
from numfuse.runtime.cpu.device import CpuDevice

import numfuse as nf
from tests.fuzz.outcome import Outcome, difference, outcome_of
from tests.fuzz.program import Program
from tests.plain_python import run_program

BACKENDS = ("graph", "python", "cpu", "cudasim")


class Unsupported(Exception):
    """numfuse refuses the program, with a clear error; the message is the reason, without the program's details."""


class PlainExecutable:
    """A program whose kernels run as plain Python, or (once `graph` is set) its graph, node by node."""

    def __init__(self, program: Lowered) -> None:
        self.program = program
        self.graph: Graph | None = None

    def __call__(self, arguments: list[Any]) -> list[np.ndarray]:
        if self.graph is not None:
            return [np.array(value, order="C") for value in self.graph.evaluate(*arguments)]
        return run_program(self.program, arguments)


@contextmanager
def plain_device() -> Iterator[None]:
    """Within, functions jitted for the CPU run as plain Python."""
    with mock.patch.object(CpuDevice, "compile", lambda self, program, options: PlainExecutable(program)):
        yield


class GraphExecutable:
    """A program's own graph of fused nodes, run with NumPy."""

    def __init__(self, program: Lowered) -> None:
        self.program = program

    def __call__(self, arguments: list[Any]) -> list[np.ndarray]:
        return [np.array(value, order="C") for value in self.program.graph.evaluate(*arguments)]


@contextmanager
def graph_device() -> Iterator[None]:
    """Within, functions jitted for the CPU run as graphs."""
    with mock.patch.object(CpuDevice, "compile", lambda self, program, options: GraphExecutable(program)):
        yield


def schedules(backends: tuple[str, ...]) -> Iterator[nf.Schedule | None]:
    """The model's choice and each other one in turn, for ever."""
    forced = choices_for("cuda" if "cudasim" in backends else "cpu")
    return itertools.cycle([choice for one in forced for choice in (None, one)])


def raises(program: Program) -> bool:
    """Whether NumPy refuses it."""
    return outcome_of(program.function(), program.values()).error is not None


def check(program: Program, backends: tuple[str, ...], schedule: nf.Schedule | None = None) -> str:
    """What is wrong with the program on one of the backends, by this schedule; empty where nothing is. Raises Unsupported and IllConditioned."""
    wanted = outcome_of(program.function(), program.values())
    for backend, call in _calls(program, backends, schedule):
        got = outcome_of(call, program.values())
        if wanted.error is None and isinstance(got.error, (TraceError, UnsupportedDtype)):
            raise Unsupported(reason(got.error)) from got.error
        if wanted.error is not None and isinstance(got.error, TraceError):
            continue
        told = difference(got, wanted, program)
        if told:
            return f"{backend}: {told}"
    return ""


def _calls(
    program: Program, backends: tuple[str, ...], schedule: nf.Schedule | None
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The program, jitted for each backend; compiled functions are called twice, as the second call goes another way."""
    if "graph" in backends or "python" in backends:
        function = nf.jit(program.function(), target="cpu", schedule=schedule)

        def plainly(*arguments: Any) -> Any:
            with plain_device():
                return function(*arguments)

        yield "python", plainly
        for compiled in function._known.values():
            compiled.executable.graph = compiled.traced.graph
        if function._known:
            yield "graph", plainly
    for backend in ("cpu", "cudasim"):
        if backend in backends:
            compiled = nf.jit(program.function(), target=backend, schedule=schedule)
            yield backend, compiled
            if backend == "cpu":
                yield f"{backend}, second call", compiled


def reason(error: Exception) -> str:
    """The error's first line, without what stands in parentheses and numbers."""
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return line.split(";")[0].split("(")[0].strip()[:100]


def failing(backends: tuple[str, ...], wrong: str, schedule: nf.Schedule | None = None) -> Callable[[Program], bool]:
    """Whether a program fails on these backends in the same way: what a program is cut down by."""

    def fails(program: Program) -> bool:
        try:
            told = check(program, backends, schedule)
            return kind_of(told) == kind_of(wrong) and "NameError" not in told
        except Exception:
            return False

    return fails


def kind_of(wrong: str) -> str:
    """The first words of what is wrong, without numbers."""
    return re.sub(r"\d+", "", wrong)[:36]


__all__ = ["BACKENDS", "Outcome", "Unsupported", "check", "failing", "kind_of", "reason"]
