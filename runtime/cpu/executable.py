"""Runs a program on the CPU: kernels through their launchers, library calls through NumPy."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numfuse.compiler.lower.lifetimes import lifetimes
from numfuse.compiler.lower.lying import lying
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.lower.program import (
    CheckStep,
    KernelStep,
    LibraryStep,
    LoweredKernel,
    Phase,
    Program,
    Step,
    Stopped,
    Sweep,
    ViewStep,
    writes_in_place,
)
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.views import as_slices
from numfuse.runtime import log
from numfuse.runtime.cache import disk_cache
from numfuse.runtime.cpu import compile as native
from numfuse.runtime.cpu.blas import Product, product
from numfuse.runtime.cpu.entry import ArraySpec, NumberSpec
from numfuse.runtime.cpu.launch import launcher, shared_launcher
from numfuse.runtime.cpu.pieces import HELD_SECONDS, byte_offsets, pieces_of, seconds_of
from numfuse.runtime.cpu.results import allocator
from numfuse.runtime.cpu.sweep_code import parts_of, sweep_call
from numfuse.runtime.cpu.whole_calls import whole_call
from numfuse.runtime.library_call import library_call
from numpy.lib.array_utils import byte_bounds

Arrays = list[Any]
Run = Callable[[Arrays], None]

_loaded: dict[str, int] = {}


def kernel_addresses(sources: Sequence[Source], fastmath: bool) -> list[int]:
    """Where each kernel's machine code is: from this process, else from the disk cache, else compiled now. Their names do not matter."""
    keys = [_key(source, fastmath) for source in sources]
    missing = {key: source for key, source in zip(keys, sources, strict=True) if not _found(key, source)}
    if missing:
        start = time.perf_counter()
        codes = native.compile_sources(list(missing.values()), fastmath)
        took = f"{time.perf_counter() - start:.2f} s" + (f", {len(codes)} kernels at once" if len(codes) > 1 else "")
        for (key, source), code in zip(missing.items(), codes, strict=True):
            log.message("cache", f"miss {source.name} {key[:12]}: compiled in {took}")
            disk_cache().store(key, code, source.name, "cpu")
            _loaded[key] = native.load(code)
    return [_loaded[key] for key in keys]


def _key(source: Source, fastmath: bool) -> str:
    text = f"cpu|{fastmath}|{source.short_loops}|{source.nameless}|{source.signature}|{native.machine_key()}"
    return hashlib.sha256(text.encode()).hexdigest()


def _found(key: str, source: Source) -> bool:
    """Whether the kernel is in this process, or can be loaded into it from the disk cache."""
    if key in _loaded:
        log.message("cache", f"hit {source.name} {key[:12]} in this process")
        return True
    code = disk_cache().load(key)
    if code is None:
        return False
    try:
        _loaded[key] = native.load(code)
    except (OSError, RuntimeError):
        log.message("cache", f"{source.name} {key[:12]} does not load; it is compiled anew")
        return False
    log.message("cache", f"hit {source.name} {key[:12]} on disk")
    return True


class Executable:
    """A compiled program. Call it with one ndarray for each argument; it returns the results as new ndarrays.

    Arguments must have the shapes, dtypes and strides that the program was lowered for.
    """

    def __init__(self, program: Program, fastmath: bool = False) -> None:
        self.program = program
        sources = {id(phase.source): phase.source for kernel in program.kernels for phase in kernel.phases}
        self.addresses = dict(zip(sources, kernel_addresses(list(sources.values()), fastmath), strict=True))
        """Where the code of each source is, by its identity: kernels run many times in a program."""
        self.results = list(zip(program.results, program.copied, strict=True))
        self.fresh = [
            (k, allocator(v.shape, v.dtype))
            for k, v in enumerate(program.values)
            if v.place == "result" and k not in program.donated
        ]
        self.workspaces: list[Arrays] = []
        self.lying = lying(program) if any(isinstance(step, ViewStep | LibraryStep) for step in program.steps) else {}
        made = [(step, product(step, self.lying)) for step in program.steps if isinstance(step, LibraryStep)]
        self.products = {id(step): found for step, found in made if found is not None}
        """The library calls that are calls of BLAS from machine code, by the identity of the step."""
        calls_numpy = len(made) > len(self.products)
        self.errors = functools.partial(np.errstate, all="ignore") if calls_numpy else contextlib.nullcontext
        self.constants = {
            k: np.asarray(v.node.params["value"], order="C")
            for k, v in enumerate(program.values)
            if v.place == "constant"
        }
        self.lasting_views = _lasting_views(program)
        argument = {k for k, value in enumerate(program.values) if value.place == "argument"}
        self.donated = {number: k for number, k in program.donated.items() if k in argument}
        """For each result in the memory of an argument, that argument."""
        self.donated |= {k: k for k in program.results if k in argument}
        self.runs, _ = self._all_runs(program.sweeps)
        kept = {step.output for step in self.lasting_views}
        self.passing = [
            k for k, v in enumerate(program.values) if v.place not in ("workspace", "constant") and k not in kept
        ]

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        values = self._values(arguments)
        with self.errors():
            for run in self.runs:
                run(values)
        results = [values[number].copy() if copied else values[number] for number, copied in self.results]
        self._give_back(values)
        return results

    def _values(self, arguments: Sequence[Any]) -> Arrays:
        """All that steps read and write, before the first of them."""
        values = self._take_workspace()
        values[: len(arguments)] = arguments
        for number, allocate in self.fresh:
            values[number] = allocate()
        for number, argument in self.donated.items():
            values[number] = values[argument]
        return values

    def profile(self, arguments: Sequence[Any], rounds: int = 7) -> list[float]:
        """Seconds that each kernel takes when it runs alone, the least of several calls with copies of the arguments."""
        runs, launches = self._all_runs(())
        least = [math.inf] * len(launches)
        for _ in range(rounds):
            values = self._values([copy_as_it_lies(argument) for argument in arguments])
            ends = []
            with self.errors():
                start = time.perf_counter()
                for run in runs:
                    run(values)
                    ends.append(time.perf_counter())
            for kernel, (first, last) in enumerate(launches):
                if last > first:
                    least[kernel] = min(least[kernel], ends[last - 1] - (ends[first - 1] if first else start))
            self._give_back(values)
        return least

    def entry(
        self, specs: Sequence[ArraySpec | NumberSpec], given: Sequence[int | np.ndarray], written: Sequence[int] = ()
    ) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
        """As `whole_call` makes it."""
        return whole_call(self, specs, given, written)

    def _take_workspace(self) -> Arrays:
        """The list of the program's values, intermediates in place; each call that runs at the same time has its own."""
        try:
            return self.workspaces.pop()
        except IndexError:
            pass
        values: Arrays = [None] * len(self.program.values)
        memory = np.empty(self.program.workspace + 64, np.uint8)
        start = -memory.ctypes.data % 64
        for number, value in enumerate(self.program.values):
            if value.place == "workspace":
                stretch = memory[start + value.number : start + value.number + value.nbytes]
                values[number] = stretch.view(value.dtype).reshape(value.shape)
            elif value.place == "constant":
                values[number] = self.constants[number]
        for step in self.lasting_views:
            view_run(step)(values)
        return values

    def _give_back(self, values: Arrays) -> None:
        for number in self.passing:
            values[number] = None
        if len(self.workspaces) < 8:
            self.workspaces.append(values)

    # -- steps -------------------------------------------------------------------------------------------------------

    def _all_runs(self, sweeps: Sequence[Sweep]) -> tuple[list[Run], list[tuple[int, int]]]:
        """What a call runs, in order, and for each kernel which of the runs are its phases. A sweep runs where its last phase stands; no array is given
        up before."""
        runs: list[Run] = []
        launches: list[tuple[int, int]] = []
        program, last = self.program, {id(sweep.phases[-1]): sweep for sweep in sweeps}
        heirs = {k: number for number, k in program.donated.items() if number not in self.donated}
        swept, done = {id(phase) for sweep in sweeps for phase in sweep.phases}, _done_with(program)
        drops: list[int] = []
        for place, step in enumerate(program.steps):
            first = len(runs)
            if isinstance(step, KernelStep):
                for phase in step.kernel.phases:
                    if id(phase) not in swept:
                        runs.append(phase_run(step.kernel, phase, self.addresses[id(phase.source)]))
                    elif id(phase) in last:
                        runs += sweep_runs(last[id(phase)], self.addresses)
                launches.append((first, len(runs)))
            elif step not in self.lasting_views:
                runs.append(self._run(step))
                runs += [share_run(k, heirs[k]) for k in outputs_of(step) if k in heirs]
            drops += done.get(place, [])
            waits = isinstance(step, KernelStep) and {id(phase) for phase in step.kernel.phases} <= swept - last.keys()
            if drops and not waits:
                runs.append(drop_run(drops))
                drops = []
        return runs, launches

    def _run(self, step: ViewStep | CheckStep | LibraryStep) -> Run:
        if isinstance(step, ViewStep):
            return view_run(step)
        if isinstance(step, CheckStep):
            return check_run(step)
        found = self.products.get(id(step))
        return library_run(step) if found is None else product_run(found)


def copy_as_it_lies(array: Any) -> Any:
    """A copy in memory of its own, with the array's strides."""
    if not isinstance(array, np.ndarray) or not array.size:
        return array
    low, high = byte_bounds(array)
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * (high - low)).from_address(low)).copy()
    return np.ndarray(array.shape, array.dtype, memory, array.ctypes.data - low, array.strides)


def phase_run(kernel: LoweredKernel, phase: Phase, address: int) -> Run:
    """Launches one phase, on one thread or on all of them."""
    numbers, count, offsets = tuple(phase.values), phase.extents["count"], byte_offsets(phase)
    pieces = pieces_of(kernel, phase)
    if pieces == 1:
        return with_values(launcher(address, offsets, 0, count, seconds_of(phase) > HELD_SECONDS), numbers)
    return with_values(shared_launcher(address, offsets, count, pieces), numbers)


def sweep_runs(sweep: Sweep, addresses: Mapping[int, int]) -> list[Run]:
    """Runs a sweep: its tiles, and then what is left between them."""
    numbers = tuple([number for phase in sweep.phases for number in phase.values])
    offsets = [start for phase in sweep.phases for start in byte_offsets(phase)]
    return [
        with_values(
            shared_launcher(part.words.ctypes.data, offsets, part.count, part.count, sweep_call(), part.words), numbers
        )
        for part in parts_of(sweep, addresses)
    ]


def with_values(function: Callable[..., Any], numbers: tuple[int, ...]) -> Run:
    """Calls the function with these values of the program."""
    if len(numbers) == 1:
        (number,) = numbers
        return lambda values: function(values[number])
    take = itemgetter(*numbers)

    def run(values: Arrays) -> None:
        function(*take(values))

    return run


def _lasting_views(program: Program) -> list[ViewStep]:
    """The views of intermediates and constants: these stay in one place from call to call, and so do their views."""
    lasting = {number for number, value in enumerate(program.values) if value.place in ("workspace", "constant")}
    views = []
    for step in program.steps:
        if isinstance(step, ViewStep) and step.input in lasting:
            lasting.add(step.output)
            views.append(step)
    return views


def _done_with(program: Program) -> dict[int, list[int]]:
    """For each step but the last, the arrays of library calls that no later one reads, and their views: they need not wait for the call's end."""
    _, last = lifetimes(program)
    done: dict[int, list[int]] = {}
    step_of = {n: last[n] for n, value in enumerate(program.values) if value.place == "library" and n in last}
    for step in program.steps:
        if isinstance(step, ViewStep) and step.input in step_of:
            step_of[step.output] = step_of[step.input]
    for number, place in step_of.items():
        if place < len(program.steps) - 1:
            done.setdefault(place, []).append(number)
    return done


def outputs_of(step: Step) -> list[int]:
    """What a library call makes."""
    return [number for number in step.outputs if number is not None] if isinstance(step, LibraryStep) else []


def share_run(source: int, place: int) -> Run:
    """Lets a result have the memory of an array that a library call just made."""

    def run(values: Arrays) -> None:
        values[place] = values[source]

    return run


def drop_run(numbers: list[int]) -> Run:
    def run(values: Arrays) -> None:
        for number in numbers:
            values[number] = None

    return run


def check_run(step: CheckStep) -> Run:
    """Raises Stopped where a flag is set."""

    def run(values: Arrays) -> None:
        flags = [values[number] for number in step.flags]
        if any(flags):
            raise Stopped(flags)

    return run


def view_run(step: ViewStep) -> Run:
    source, place, params = step.input, step.output, dict(step.node.params)
    if step.node.op == "slice":
        key = as_slices(params, step.node.shape)

        def take(values: Arrays) -> None:
            values[place] = values[source][key]

        return take
    if step.node.op == "reshape":
        shape = step.node.shape

        def reshape(values: Arrays) -> None:
            values[place] = values[source].reshape(shape)

        return reshape
    reference = operator(step.node.op).reference

    def run(values: Arrays) -> None:
        values[place] = reference(values[source], **params)

    return run


def product_run(made: Product) -> Run:
    call = launcher(made.address, (0, 0, 0, 0), 0, made.count, seconds_of(made) > HELD_SECONDS)
    return with_values(functools.partial(call, made.words), made.values)


def library_run(step: LibraryStep) -> Run:
    """The operator's NumPy function; matrix products write straight into their place."""
    if not writes_in_place(step.node):
        return library_call(step)
    place = step.outputs[0]
    assert place is not None
    return with_values(operator(step.node.op).reference, (*step.inputs, place))
