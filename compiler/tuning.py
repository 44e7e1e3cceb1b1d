"""Chooses schedules by measuring, for `jit(autotune=True)`: what a model cannot know of a machine.

Each choice of `schedule.py` is tried upon the best so far, for all kernels of the function at once, on copies of the call's arguments; a kernel keeps
one that is a twentieth faster. What was found is kept in the disk cache, by the kernel's source and the machine.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from numfuse.compiler.compiled import arguments_to_measure
from numfuse.compiler.lower.program import LoweredKernel
from numfuse.compiler.lowered import Lowered, lower_traced
from numfuse.compiler.schedule import MODEL, Schedule, Schedules, choices_for, merged
from numfuse.runtime import log
from numfuse.runtime.cache import disk_cache
from numfuse.runtime.cuda.array import DeviceArray

SECONDS = 10.0
"""How long one function is tuned, unless `autotune` says so."""
WORTH = 0.95
"""The time of a schedule, as a part of the best one's, from which on it is taken."""

Found = dict[str, Schedule]
"""Schedules by the content hash of the fused graph."""


def tuned(model: Lowered, leaves: Sequence[Any] | None, limit: bool | float) -> Lowered:
    """The function lowered with the fastest schedules for the arguments of a call, which are left as they are; without any, with those that
    were found before. `limit`: seconds that measuring may take; True stands for SECONDS."""
    assert model.traced is not None
    if model.device.identity() is None:
        return model
    found = remembered(model)
    new = any(key not in found for kernel in model.program.kernels for key in hashes(kernel))
    if new and leaves is not None:
        arguments = arguments_to_measure(model.traced, leaves)
        if all(argument.contiguous for argument in arguments if isinstance(argument, DeviceArray)):
            found = _measured(model, arguments, SECONDS if limit is True else limit)
    return with_schedules(model, found)


def with_schedules(model: Lowered, found: Found) -> Lowered:
    """The function lowered anew where a schedule is not the model's."""
    assert model.traced is not None
    if all(schedule == MODEL for schedule in found.values()):
        return model
    return lower_traced(model.traced, model.device.name, getattr(model.device, "arch", None), Schedules(MODEL, found))


def remembered(model: Lowered) -> Found:
    """What was measured on this machine before."""
    found: Found = {}
    for kernel in model.program.kernels:
        kept = disk_cache().load(_key(model, kernel))
        if kept is not None:
            schedule = Schedule(**json.loads(kept))
            found.update(dict.fromkeys(hashes(kernel), schedule))
    return found


def hashes(kernel: LoweredKernel) -> list[str]:
    return [node.params["body"].content_hash for node in kernel.nodes]


def _key(model: Lowered, kernel: LoweredKernel) -> str:
    return hashlib.sha256(f"schedule|{model.device.identity()}|{kernel.code}|{kernel.extents}".encode()).hexdigest()


def _measured(model: Lowered, arguments: Sequence[Any], seconds: float) -> Found:
    assert model.traced is not None
    deadline = time.perf_counter() + seconds
    best: Found = {key: MODEL for kernel in model.program.kernels for key in hashes(kernel)}
    codes, least = _codes(model), _seconds(model, arguments)
    before = dict(least)
    choices = choices_for(model.target.name)
    for number, choice in enumerate(choices):
        _progress(f"tuning {model.program.graph.name}", number, len(choices))
        if time.perf_counter() > deadline:
            log.message("compile", f"{model.program.graph.name}: no time for {len(choices) - number} schedules")
            break
        wanted = {key: merged(schedule, choice) for key, schedule in best.items()}
        tried = with_schedules(model, wanted)
        new = _codes(tried)
        others = {key for key in best if new[key] != codes[key] or choice.pieces is not None}
        for key, seconds_taken in _seconds(tried, arguments).items() if others else ():
            if key in others and seconds_taken < WORTH * least[key]:
                least[key], best[key], codes[key] = seconds_taken, wanted[key], new[key]
    _progress(f"tuning {model.program.graph.name}", len(choices), len(choices))
    for kernel in model.program.kernels:
        (key, *_) = hashes(kernel)
        disk_cache().store(_key(model, kernel), json.dumps(best[key].as_dict()).encode(), kernel.name, "schedule")
        told = (
            "the model's schedule"
            if best[key] == MODEL
            else f"{best[key]}: {before[key] / least[key]:.2f} times as fast"
        )
        log.message("compile", f"{kernel.name} tuned: {told}")
    return best


def _seconds(lowered: Lowered, arguments: Sequence[Any]) -> dict[str, float]:
    """How long the kernels take, by their content hashes; kernels that are launched several times, in all."""
    executable = lowered.device.compile(lowered.program, lowered.options)
    taken: dict[str, float] = {}
    for kernel, seconds in zip(lowered.program.kernels, executable.profile(arguments), strict=True):
        for key in hashes(kernel):
            taken[key] = taken.get(key, 0.0) + seconds
    return taken


def _codes(lowered: Lowered) -> dict[str, str]:
    """The kernels' code, by their content hashes."""
    return {key: kernel.code for kernel in lowered.program.kernels for key in hashes(kernel)}


def _progress(what: str, done: int, of: int) -> None:
    """A bar on a terminal."""
    if sys.stderr.isatty():
        bar = "#" * (20 * done // of)
        print(f"\r{what} [{bar:<20}] {done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
