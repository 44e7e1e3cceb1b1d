"""Runs a program on a GPU: arguments that are in host memory are copied in, results are copied out if no argument was on the GPU."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.lower.lying import lying
from numfuse.compiler.lower.program import CheckStep, KernelStep, LibraryStep, Phase, Program, Step, ViewStep
from numfuse.compiler.ops.products import blas_order
from numfuse.runtime.cpu.whole_calls import Call
from numfuse.runtime.cuda.array import DeviceArray
from numfuse.runtime.cuda.blas import KINDS
from numfuse.runtime.cuda.foreign import LibraryCall, Matrices
from numfuse.runtime.cuda.kernels import compiled_kernel
from numfuse.runtime.cuda.staging import LARGE
from numfuse.runtime.cuda.whole_calls import whole_call
from numfuse.runtime.library_call import library_call


class CudaExecutable:
    """A compiled program. Call it with one array for each argument (NumPy or device arrays).

    Results are NumPy arrays where all arguments are, else device arrays. `gpu` is asked for at the first call, so that compiling needs none.
    """

    def __init__(self, program: Program, arch: str, options: dict[str, Any], gpu: Any) -> None:
        self.program = program
        self.device = gpu
        self.lying = lying(program) if any(isinstance(step, ViewStep | LibraryStep) for step in program.steps) else {}
        argument = {k for k, value in enumerate(program.values) if value.place == "argument"}
        self.donated = {number: k for number, k in program.donated.items() if k in argument}
        """For each result in the memory of an argument, that argument."""
        self.donated |= {k: k for k in program.results if k in argument}
        self.by_value = frozenset(
            number
            for kernel in program.kernels
            for phase in kernel.phases
            for parameter, number in zip(phase.source.parameters[1:], phase.values, strict=True)
            if parameter.number
        )
        """The arguments that are numbers, given to kernels by value."""
        self.all_on_device = all(is_product(step) for step in program.steps if isinstance(step, LibraryStep))
        self.kernels = {
            phase.source.code: compiled_kernel(
                phase.source, arch, phase.extents["block"], bool(options.get("fastmath"))
            )
            for kernel in program.kernels
            for phase in kernel.phases
        }
        self._loaded: dict[str, int] = {}
        self._constants: dict[int, DeviceArray] = {}
        self._lock = threading.Lock()
        self._planned: dict[Any, list[LibraryCall] | None] = {}
        self._touched = [_touched(program, step) for step in program.steps]
        self._leaving = _leaving(program)
        self._made: dict[int, int] = {}
        """Events after which large results are there, where other steps follow."""

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        gpu = self.device()
        on_device = any(isinstance(argument, DeviceArray) for argument in arguments)
        pending: dict[int, np.ndarray] = {}
        values = self._values(gpu, arguments, pending)
        for place, step in enumerate(self.program.steps):
            if pending:
                self._bring(gpu, self._touched[place], values, pending)
            self._run(gpu, step, values)
            for number in () if on_device else self._leaving.get(place, ()):
                self._made[number] = gpu.mark(self._made.get(number))
        self._bring(gpu, self.program.results, values, pending)
        given = zip(self.program.results, self.program.copied, strict=True)
        if on_device:
            return [values[number].copy() if copied else values[number] for number, copied in given]
        return [values[number].numpy(self._made.get(number)) for number, _ in given]

    def _bring(self, gpu: Any, wanted: Iterable[int], values: list[Any], pending: dict[int, np.ndarray]) -> None:
        """Copies the arguments in that are wanted now: what needs others only runs meanwhile."""
        for number in wanted:
            if number in pending:
                gpu.copy_in(values[number].address, np.ascontiguousarray(pending.pop(number)), begun=True)

    def profile(self, arguments: Sequence[Any], rounds: int = 7) -> list[float]:
        """Seconds that each kernel takes by the host's clock, the least of several calls with copies of the arguments."""
        gpu = self.device()
        least = [math.inf] * len(self.program.kernels)
        for _ in range(rounds):
            values = self._values(gpu, [a.copy() if isinstance(a, DeviceArray) else a for a in arguments])
            kernels = itertools.count()
            for step in self.program.steps:
                gpu.synchronize()
                start = time.perf_counter()
                self._run(gpu, step, values)
                gpu.synchronize()
                if isinstance(step, KernelStep):
                    kernel = next(kernels)
                    least[kernel] = min(least[kernel], time.perf_counter() - start)
        return least

    def _values(self, gpu: Any, arguments: Sequence[Any], pending: dict[int, np.ndarray] | None = None) -> list[Any]:
        """All that steps read and write, before the first of them. `pending` gets large arguments that have a place, but are not there yet."""
        values: list[Any] = [None] * len(self.program.values)
        workspace = (
            DeviceArray.empty(gpu, (self.program.workspace,), np.dtype("u1")) if self.program.workspace else None
        )
        for number, value in enumerate(self.program.values):
            if value.place == "argument":
                given = arguments[value.number]
                if isinstance(given, DeviceArray) or number in self.by_value:
                    values[number] = given
                elif pending is not None and given.nbytes >= LARGE:
                    values[number] = DeviceArray.empty(gpu, given.shape, given.dtype)
                    pending[number] = given
                else:
                    values[number] = DeviceArray.from_host(gpu, given)
            elif number in self.program.donated:
                values[number] = values[self.program.donated[number]]
            elif value.place == "result":
                values[number] = DeviceArray.empty(gpu, value.shape, value.dtype)
            elif value.place == "workspace":
                assert workspace is not None
                values[number] = DeviceArray(
                    gpu, workspace.address + value.number, value.shape, value.dtype, owner=workspace
                )
            elif value.place == "constant":
                values[number] = self.constant(gpu, number)
        if pending:
            gpu.begin_copies()
        return values

    def constant(self, gpu: Any, number: int) -> DeviceArray:
        """A constant of the program, copied to the device once."""
        if number not in self._constants:
            self._constants[number] = DeviceArray.from_host(gpu, self.program.values[number].node.params["value"])
        return self._constants[number]

    def _run(self, gpu: Any, step: Step, values: list[Any]) -> None:
        if isinstance(
            step, CheckStep
        ):  # the call looks at the flags when it ends: to wait for them takes longer than to go on
            return
        if isinstance(step, ViewStep):
            values[step.output] = values[step.input].view_through(step.node.op, dict(step.node.params))
            return
        if isinstance(step, LibraryStep):
            operands = [_readable(values[number]) for number in step.inputs] if is_product(step) else []
            described = [_as_it_lies(operand) for operand in operands]
            with self._lock:
                key = id(step), *described
                if key not in self._planned:
                    self._planned[key] = self.library_calls(gpu, step, described)
                arrays = [*operands, *[values[number] for number in step.outputs if number is not None]]
                for call in self._planned[key] or ():
                    call.run([array.address for array in arrays])
            if self._planned[key] is None:
                on_the_host(step, values)
            return
        for phase in step.kernel.phases:
            places = zip(phase.values, phase.offsets, strict=True)
            given = [
                word_of(values[number])
                if number in self.by_value
                else values[number].address + start * values[number].dtype.itemsize
                for number, start in places
            ]
            arguments = [phase.extents["n"], *given]
            gpu.launch(self.function(gpu, phase), phase.extents["grid"], phase.extents["block"], arguments)

    def library_calls(self, gpu: Any, step: LibraryStep, operands: Sequence[Matrices]) -> list[LibraryCall] | None:
        """The calls of the device's libraries that a step is, whose arrays are its operands and its result; None where NumPy does it. One thread may make
        them at a time."""
        if not is_product(step):
            return None
        (a, b), node = operands[:2], step.node
        if node.op == "linear":
            return gpu.blas_lt.linear(a, b, node.shape, node.dtype, node.params["epilogue"])
        return gpu.blas.matmul(a, b, node.shape, node.dtype)

    def function(self, gpu: Any, phase: Phase) -> int:
        """The kernel's function on the device, loaded once."""
        code = phase.source.code
        if code not in self._loaded:
            self._loaded[code] = gpu.load(self.kernels[code].cubin)
        return self._loaded[code]

    def entry(
        self, specs: Sequence[Any], given: Sequence[int | np.ndarray], written: Sequence[int] = ()
    ) -> tuple[Call, Call]:
        """As `whole_call` makes it. What is `written` is computed elsewhere, and copied by the caller."""
        return whole_call(self, specs, given)


def _touched(program: Program, step: Step) -> list[int]:
    """The values that a step reads or writes, and the arguments in whose memory these are."""
    if isinstance(step, ViewStep):
        touched = [step.input]
    elif isinstance(step, LibraryStep):
        touched = [*step.inputs, *[number for number in step.outputs if number is not None]]
    elif isinstance(step, KernelStep):
        touched = [number for phase in step.kernel.phases for number in phase.values]
    else:
        touched = []
    return [*touched, *[program.donated[number] for number in touched if number in program.donated]]


def _leaving(program: Program) -> dict[int, list[int]]:
    """For each step but the last, the large results that nothing writes or reads afterwards."""
    wanted = {k for k in program.results if program.values[k].place == "result" and program.values[k].nbytes >= LARGE}
    last = {k: place for place, step in enumerate(program.steps) for k in _touched(program, step) if k in wanted}
    leaving: dict[int, list[int]] = {}
    for number, place in last.items():
        if place + 1 < len(program.steps):
            leaving.setdefault(place, []).append(number)
    return leaving


def is_product(step: LibraryStep) -> bool:
    """Whether cuBLAS or cuBLASLt has it."""
    return step.node.op in ("matmul", "linear") and step.node.dtype in KINDS


def _as_it_lies(array: DeviceArray) -> Matrices:
    return Matrices(array.shape, array.element_strides, array.layout.aligned)


def _readable(array: DeviceArray) -> DeviceArray:
    """The operand itself, or a copy where BLAS cannot read it as it lies. A bias is read element after element."""
    plain = array.contiguous if array.ndim < 2 else blas_order(array.shape, array.element_strides) is not None
    return array if plain else array.copy()


def word_of(number: Any) -> int:
    """The bits of a number as an integer."""
    return int.from_bytes(np.asarray(number).tobytes(), "little", signed=False)


def on_the_host(step: LibraryStep, values: list[Any]) -> None:
    """Calls NumPy on copies of what is on the GPU, and copies the results back."""
    copies = {number: np.asarray(values[number]) for number in step.inputs}
    results = [number for number in step.outputs if number is not None]
    for number in results:
        copies[number] = np.empty(values[number].shape, values[number].dtype)
    with np.errstate(all="ignore"):
        library_call(step)(copies)
    for number in results:
        if copies[number].size:
            values[number].gpu.copy_in(values[number].address, copies[number])
