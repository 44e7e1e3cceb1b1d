"""What a program's call in machine code is told on a GPU: device arrays come in, kernels are queued, and new device arrays go out."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numfuse.compiler.lower.program import KernelStep, LibraryStep, ViewStep
from numfuse.compiler.types import Shape, size_of
from numfuse.runtime.cpu.entry import Launch, NumberSpec, ObjectSpec, entry
from numfuse.runtime.cpu.launch import FAST
from numfuse.runtime.cpu.whole_calls import Call, Place, seen_whole
from numfuse.runtime.cuda.array import DeviceArray, DeviceLayout, layout_of
from numfuse.runtime.cuda.foreign import Matrices
from numfuse.runtime.cuda.launches import KernelCall, in_context, launches_of

if TYPE_CHECKING:
    from numfuse.runtime.cuda.executable import CudaExecutable

Spec = DeviceLayout | NumberSpec


def whole_call(
    executable: CudaExecutable, specs: Sequence[Spec], given: Sequence[int | np.ndarray]
) -> tuple[Call, Call]:
    """What checks a call's arguments, and the whole call in machine code, as for the CPU (`runtime/cpu/whole_calls.py`). Not for arguments in host
    memory, nor where NumPy does a part of the work or checks have to be looked at."""
    if not FAST or not any(isinstance(spec, DeviceLayout) for spec in specs):
        return None, None
    described = [_object_spec(spec) if isinstance(spec, DeviceLayout) else spec for spec in specs]
    checked = entry(described, (), None, ())
    program, lying = executable.program, executable.lying
    views = [step.output for step in program.steps if isinstance(step, ViewStep)]
    arguments = {k: source for k, source in enumerate(given) if isinstance(source, int)}
    plain = len(arguments) == len(given) and set(views) <= set(lying) and not any(program.copied)
    if checked is None or program.flags or not plain or not executable.all_on_device:
        return checked, None
    numbers = {k for k, source in arguments.items() if not isinstance(specs[source], DeviceLayout)}
    if not executable.by_value >= numbers:
        return checked, None
    donors = {number: given[argument] for number, argument in executable.donated.items()}
    fresh = {k for k, value in enumerate(program.values) if value.place == "result" and k not in program.donated}
    wanted = [seen_whole(program, lying, k) for k in program.results]
    if sorted([*fresh, *donors]) != sorted(wanted):
        return checked, None
    gpu = executable.device()
    order = [k for k in wanted if k in fresh]
    shapes = dict(zip(wanted, [program.values[k].shape for k in program.results], strict=True))
    made = [allocator(gpu, shapes[k], program.values[k].dtype) for k in order]
    workspace = allocator(gpu, (program.workspace,), np.dtype("u1")) if program.workspace else None
    past = 1 + len(specs) + len(order)
    places: dict[int, Place] = {k: (1 + len(specs) + n, 0) for n, k in enumerate(order)}
    places |= {k: (past, value.number) for k, value in enumerate(program.values) if value.place == "workspace"}
    places |= {
        k: (0, executable.constant(gpu, k).address) for k, v in enumerate(program.values) if v.place == "constant"
    }
    places |= {k: (1 + source, 0) for k, source in [*arguments.items(), *donors.items()] if isinstance(source, int)}
    for k in views:
        base, start = lying[k].base, lying[k].start
        number, first = (past, 0) if base is None else places[base]
        places[k] = (number, first + start)
    launches = _launches(executable, gpu, places)
    if launches is None:
        return checked, None
    return checked, entry(described, made, workspace, launches, address_place=ADDRESS_PLACE)


def _launches(executable: CudaExecutable, gpu: Any, places: dict[int, Place]) -> list[Launch] | None:
    """What runs, in order; None where NumPy has to do a part of it."""
    launches: list[Launch] = [in_context(gpu)]
    calls: list[KernelCall] = []
    for step in executable.program.steps:
        if isinstance(step, LibraryStep):
            operands = [_matrices(executable, places, number) for number in step.inputs]
            planned = executable.library_calls(gpu, step, operands)
            if planned is None or any(len(one.shape) == 1 and one.strides not in ((1,), (0,)) for one in operands):
                return None
            launches += launches_of(gpu, calls)
            calls = []
            used = [places[number] for number in (*step.inputs, *step.outputs) if number is not None]
            launches += [call.launch(used) for call in planned]
        elif isinstance(step, KernelStep):
            for phase in step.kernel.phases:
                size = [executable.program.values[k].dtype.itemsize for k in phase.values]
                starts = zip(phase.values, phase.offsets, size, strict=True)
                pointers = [(places[k][0], places[k][1] + offset * item) for k, offset, item in starts]
                numbers = [k in executable.by_value for k in phase.values]
                shape = phase.extents["grid"], phase.extents["block"], phase.extents["n"]
                calls.append(KernelCall(executable.function(gpu, phase), *shape, pointers, numbers))
    return launches + launches_of(gpu, calls)


def _matrices(executable: CudaExecutable, places: dict[int, Place], number: int) -> Matrices:
    lying, layouts = executable.lying[number], executable.program.layouts
    layout = None if lying.base is None else layouts.get(lying.base)
    aligned = places[number][1] % 16 == 0 and (layout is None or layout.aligned)
    return Matrices(executable.program.values[number].shape, lying.strides, aligned)


def allocator(gpu: Any, shape: Shape, dtype: np.dtype) -> Callable[[], DeviceArray]:
    """What makes a device array in C order, of contents that are not defined."""
    layout, nbytes, take, new = (
        layout_of(dtype, shape, None, True),
        size_of(shape) * dtype.itemsize,
        gpu.pool.take,
        object.__new__,
    )

    def allocate() -> DeviceArray:
        made, block = new(DeviceArray), take(nbytes)
        made.gpu, made.address, made.layout, made.owner = gpu, block.handle, layout, block
        return made

    return allocate


def _object_spec(layout: DeviceLayout) -> ObjectSpec:
    return ObjectSpec(DeviceArray, layout, LAYOUT_PLACE, ADDRESS_PLACE)


def _slot(name: str) -> int:
    """Where an object of DeviceArray has that attribute, in bytes from its start; 0 where this Python keeps it elsewhere."""
    if not FAST:
        return 0
    probe, mark = object.__new__(DeviceArray), object()
    setattr(probe, name, mark)
    words = range(object.__basicsize__, DeviceArray.__basicsize__, 8)
    return next((k for k in words if ctypes.c_void_p.from_address(id(probe) + k).value == id(mark)), 0)


LAYOUT_PLACE, ADDRESS_PLACE = _slot("layout"), _slot("address")
