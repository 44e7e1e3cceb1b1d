"""Programs as text: their steps, and why nodes are kernels of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numfuse.compiler.lower.program import CheckStep, KernelStep, LibraryStep, Program, Step
from numfuse.compiler.schedule import MODEL
from numfuse.compiler.types import type_text
from numfuse.passes.associate import associations
from numfuse.passes.fuse import Fuser
from numfuse.runtime.devices import Device

if TYPE_CHECKING:
    from numfuse.compiler.lowered import Lowered


def program_text(program: Program, device: Device) -> str:
    """The steps as a list, then each kernel's source."""
    lines = [f"program {program.graph.name} for {device.describe()}"]
    for number, step in enumerate(program.steps):
        lines.append(f"  {number + 1}. {step_text(program, step)}")
    lines += [f"  {text}" for text in sweeps_text(program)]
    lines.append(f"  workspace: {program.workspace} bytes")
    sources = {kernel.name: kernel.source for kernel in program.kernels}
    return "\n\n\n".join(["\n".join(lines), *sources.values()])


def step_text(program: Program, step: Step) -> str:
    def told(number: int) -> str:
        value = program.values[number]
        name = {"argument": value.node.name or "argument", "result": f"result{value.number + 1}"}.get(value.place)
        name = name or (f"ws+{value.number}" if value.place == "workspace" else value.place)
        return f"{name}: {type_text(value.shape, value.dtype)}"

    if isinstance(step, KernelStep):
        phases = []
        for phase in step.kernel.phases:
            extents = ", ".join(f"{key}={value}" for key, value in phase.extents.items())
            phases.append(
                f"kernel {phase.source.name}[{extents}]({', '.join(told(number) for number in phase.values)})"
            )
        decided = f"  ({step.kernel.schedule})" if step.kernel.schedule != MODEL else ""
        return "; ".join(phases) + decided
    if isinstance(step, LibraryStep):
        results = ", ".join(told(number) for number in step.outputs if number is not None)
        return f"library {step.node.op}({', '.join(told(number) for number in step.inputs)}) -> {results}"
    if isinstance(step, CheckStep):
        return f"check {', '.join(told(number) for number in step.flags)}"
    return f"view {step.node.op}({told(step.input)}) -> {told(step.output)}"


def sweeps_text(program: Program) -> list[str]:
    """For each sweep the steps that take part, and in how many pieces their rows run."""
    texts = []
    for sweep in program.sweeps:
        ids = {id(phase) for phase in sweep.phases}
        steps = [
            number
            for number, step in enumerate(program.steps, 1)
            if isinstance(step, KernelStep) and any(id(phase) in ids for phase in step.kernel.phases)
        ]
        tiles, ranges = len(sweep.tiles), sum(map(len, sweep.tiles))
        bands = -(-ranges // (tiles * len(sweep.phases)))
        texts.append(
            f"sweep: steps {steps[0]} to {steps[-1]} go through memory together, {tiles} tiles of {bands} bands of rows, and {len(sweep.cuts)} cuts between"
        )
    return texts


def explain_text(lowered: Lowered) -> str:
    lines = [f"{len(lowered.program.kernels)} kernels, {len(lowered.library_calls)} library calls"]
    lines += [f"  {step_text(lowered.program, step)}" for step in lowered.program.steps]
    lines += [f"  {text}" for text in sweeps_text(lowered.program)]
    written = next(stage.graph for stage in lowered.trail.stages if stage.name == "dead")
    for node, multiplications, left in associations(written, lowered.target.fastmath):
        where = f"{node.where}: " if node.where else ""
        told = f"another order of the products takes {left:,} multiplications in place of {multiplications:,}"
        lines.append(f"  associate: {where}{node.op} ({type_text(node.shape, node.dtype)}): {told}")
    before = next(stage.graph for stage in reversed(lowered.trail.stages) if stage.name != "fuse")
    fuser = Fuser(before, lowered.target.machine)
    fuser.run()
    for refusal in fuser.refusals:
        node = refusal.producer
        where = f"{node.where}: " if node.where else ""
        lines.append(f"  not fused: {where}{node.op} ({type_text(node.shape, node.dtype)}): {refusal.reason}")
    return "\n".join(lines)
