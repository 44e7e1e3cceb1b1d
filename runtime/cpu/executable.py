"""Runs a program on the CPU: kernels through their launchers, library calls through NumPy."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numfuse.compiler.lower.lifetimes import lifetimes
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
    ViewStep,
    writes_in_place,
)
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.views import as_slices
from numfuse.runtime import log
from numfuse.runtime.cache import disk_cache
from numfuse.runtime.cpu import compile as native
from numfuse.runtime.cpu.entry import ArraySpec, Launch, NumberSpec, apart, entry
from numfuse.runtime.cpu.launch import launcher, shared_launcher
from numfuse.runtime.cpu.results import allocator
from numfuse.runtime.cpu.threads import thread_count
from numfuse.runtime.library_call import library_call
from numpy.lib.array_utils import byte_bounds

Arrays = list[Any]
Run = Callable[[Arrays], None]

BYTES_PER_SECOND, FLOPS_PER_SECOND = 25e9, 20e9
"""A cautious guess at one core, to tell kernels that are worth sharing from those that are not."""
SHARED_SECONDS = 40e-6
"""A kernel that takes one core less than this is not shared: waking a thread that sleeps takes about as long."""
PIECE_SECONDS = 5e-6
HELD_SECONDS = 20e-6
"""A kernel that takes less than this keeps the GIL: releasing it costs more than it gives."""

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
        calls_numpy = bool(program.library_calls)
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
        heirs = {k: number for number, k in program.donated.items() if number not in self.donated}
        done = _done_with(program)
        self.runs: list[Run] = []
        self.launches: list[tuple[int, int]] = []
        """For each kernel, which of the runs are its phases."""
        for place, step in enumerate(program.steps):
            if step not in self.lasting_views:
                first = len(self.runs)
                self.runs += self._runs(step)
                if isinstance(step, KernelStep):
                    self.launches.append((first, len(self.runs)))
                self.runs += [share_run(k, heirs[k]) for k in outputs_of(step) if k in heirs]
            if place in done:
                self.runs.append(drop_run(done[place]))
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
        """Seconds that each kernel takes, the least of several calls with copies of the arguments."""
        least = [math.inf] * len(self.launches)
        for _ in range(rounds):
            values = self._values([copy_as_it_lies(argument) for argument in arguments])
            ends = []
            with self.errors():
                start = time.perf_counter()
                for run in self.runs:
                    run(values)
                    ends.append(time.perf_counter())
            for kernel, (first, last) in enumerate(self.launches):
                if last > first:
                    least[kernel] = min(least[kernel], ends[last - 1] - (ends[first - 1] if first else start))
            self._give_back(values)
        return least

    def entry(
        self,
        specs: Sequence[ArraySpec | NumberSpec],
        given: Sequence[int | np.ndarray],
        written: Sequence[int] = (),
    ) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
        """What checks a call's arguments, and the whole call in machine code, for a program of small kernels alone. Both give NotImplemented for other
        arguments, and where these are right the one gives (), the other the result, or a tuple of several or none, without those in the memory of arguments.
        None in place of what there is not.

        `given`: for each argument of the program, which argument of the call it is, or the array that it always is; `written`: arguments of the call that
        are written to.
        """
        program = self.program
        flags = program.flags
        wanted, copied = program.results[: len(program.results) - len(flags)], program.copied
        captured = [array for array in given if isinstance(array, np.ndarray)]
        distinct = apart(specs, written, captured)
        check = entry(specs, (), None, (), written, distinct)
        phases = [phase for kernel in program.kernels for phase in kernel.phases]
        alone = all(isinstance(step, (KernelStep, CheckStep)) for step in program.steps)
        if (
            not alone
            or any(copied[: len(wanted)])
            or any(pieces_of(k, p) > 1 for k in program.kernels for p in k.phases)
        ):
            return check, None
        results = dict(self.fresh)
        if any(results.pop(flag, None) is None for flag in set(flags)):
            return check, None
        donors = {number: given[argument] for number, argument in self.donated.items()}
        if sorted([*results, *donors]) != sorted(wanted) or any(not isinstance(d, int) for d in donors.values()):
            return check, None
        order = [k for k in wanted if k in results]
        places = {k: (1 + len(specs) + n, 0) for n, k in enumerate(order)}
        past = 1 + len(specs) + len(results)
        places |= {k: (past, value.number) for k, value in enumerate(program.values) if value.place == "workspace"}
        places |= {k: (past, program.workspace + n) for n, k in enumerate(flags)}
        fixed = self.constants | {k: source for k, source in enumerate(given) if not isinstance(source, int)}
        places |= {k: (0, array.ctypes.data) for k, array in fixed.items()}
        sources = {k: source for k, source in [*enumerate(given), *donors.items()] if isinstance(source, int)}
        places |= {k: (1 + source, 0) for k, source in sources.items()}

        def pointers(phase: Phase) -> list[tuple[int, int]]:
            starts = [places[k] for k in phase.values]
            return [(number, start + by) for (number, start), by in zip(starts, byte_offsets(phase), strict=True)]

        size = program.workspace + len(flags)
        workspace = allocator((size + 64,), np.dtype("u1")) if size else None
        release = sum(map(seconds_of, phases)) > HELD_SECONDS
        launches: list[Launch] = []
        for step in program.steps:
            if isinstance(step, CheckStep):
                launches.append(Launch(0, 0, [places[k] for k in dict.fromkeys(step.flags)]))
            elif isinstance(step, KernelStep):
                for p in step.kernel.phases:
                    launches.append(Launch(self.addresses[id(p.source)], p.extents["count"], pointers(p)))
        return check, entry(specs, [results[k] for k in order], workspace, launches, written, distinct, release)

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

    def _runs(self, step: Step) -> list[Run]:
        if isinstance(step, KernelStep):
            return [phase_run(step.kernel, phase, self.addresses[id(phase.source)]) for phase in step.kernel.phases]
        if isinstance(step, ViewStep):
            return [view_run(step)]
        if isinstance(step, CheckStep):
            return [check_run(step)]
        return [library_run(step)]


def copy_as_it_lies(array: Any) -> Any:
    """A copy in memory of its own, with the array's strides."""
    if not isinstance(array, np.ndarray) or not array.size:
        return array
    low, high = byte_bounds(array)
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * (high - low)).from_address(low)).copy()
    return np.ndarray(array.shape, array.dtype, memory, array.ctypes.data - low, array.strides)


def seconds_of(phase: Phase) -> float:
    """About how long one core takes."""
    return max(phase.nbytes / BYTES_PER_SECOND, phase.flops / FLOPS_PER_SECOND)


def byte_offsets(phase: Phase) -> list[int]:
    """Where each of the kernel's pointers starts in its array."""
    return [
        start * parameter.dtype.itemsize
        for start, parameter in zip(phase.offsets, phase.source.parameters, strict=True)
        if parameter.dtype is not None
    ]


def pieces_of(kernel: LoweredKernel, phase: Phase) -> int:
    """In how many pieces a phase runs: one, on this thread, or more, on all threads."""
    count, seconds, each = phase.extents["count"], seconds_of(phase), kernel.schedule.pieces
    alone = seconds < SHARED_SECONDS if each is None else not each
    if alone or count == 1 or thread_count() == 1:
        return 1
    most = int(seconds / PIECE_SECONDS) if each is None else count
    return max(2, min(count, (each or 4) * thread_count(), most))


def phase_run(kernel: LoweredKernel, phase: Phase, address: int) -> Run:
    """Launches one phase, on one thread or on all of them."""
    numbers, count, offsets = tuple(phase.values), phase.extents["count"], byte_offsets(phase)
    pieces = pieces_of(kernel, phase)
    if pieces == 1:
        return with_values(launcher(address, offsets, 0, count, seconds_of(phase) > HELD_SECONDS), numbers)
    return with_values(shared_launcher(address, offsets, count, pieces), numbers)


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


def library_run(step: LibraryStep) -> Run:
    """The operator's NumPy function; matrix products write straight into their place."""
    if not writes_in_place(step.node):
        return library_call(step)
    place = step.outputs[0]
    assert place is not None
    return with_values(operator(step.node.op).reference, (*step.inputs, place))
