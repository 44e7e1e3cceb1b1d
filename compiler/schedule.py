"""What a kernel's meaning leaves open: how its loops are cut up and who runs them.

A model chooses; `jit(autotune=True)` measures (`tuning.py`), and `jit(schedule=...)` decides, for those who know better and for tests, which
force each choice in turn. No choice changes what is computed beyond the order in which sums are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from numfuse.compiler.graph import Graph


@dataclass(frozen=True)
class Schedule:
    """Choices for kernels; None leaves one to the model, and a choice that a kernel does not have changes nothing.

    `kept`: whether what the loops of a row share is kept between them, or computed again (both targets; kept as far as there is room).
    `lanes`: columns that a reduction across rows works on at once on the CPU; 0: one row after the other.
    `stream`: whether a CPU kernel stores its results past the caches (as far as it fills memory in order).
    `pieces`: into how many pieces a kernel is cut for each CPU thread; 0: the calling thread runs it alone.
    `sweep`: whether CPU kernels go through memory together with those that follow, in so many bands; 0: one kernel after the other.
    `block`: threads of a CUDA block where rows are not shared, a multiple of 32 up to 1024.
    `vector`: bytes of the widest CUDA access: 4, 8 or 16.
    `team`: CUDA threads that share a row, a power of two from 32 to 1024.
    """

    kept: bool | None = None
    lanes: int | None = None
    stream: bool | None = None
    pieces: int | None = None
    sweep: int | None = None
    block: int | None = None
    vector: int | None = None
    team: int | None = None

    def __post_init__(self) -> None:
        allowed = {
            "lanes": lambda n: 0 <= n <= 4096,
            "pieces": lambda n: 0 <= n <= 4096,
            "sweep": lambda n: 0 <= n <= 4096,
            "block": lambda n: n % 32 == 0 and 32 <= n <= 1024,
            "vector": lambda n: n in (4, 8, 16),
            "team": lambda n: n in (32, 64, 128, 256, 512, 1024),
        }
        for name, holds in allowed.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and holds(value)):
                raise ValueError(f"Schedule({name}={value!r}): see help(numfuse.Schedule) for what it may be")

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.as_dict().items())

    def as_dict(self) -> dict[str, Any]:
        """What is decided."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


MODEL = Schedule()
"""Leaves everything to the model."""

CPU_CHOICES = (
    Schedule(kept=True), Schedule(kept=False), Schedule(lanes=0), Schedule(lanes=16), Schedule(lanes=256),
    Schedule(pieces=0), Schedule(pieces=1), Schedule(pieces=16), Schedule(stream=True), Schedule(stream=False),
    Schedule(sweep=0), Schedule(sweep=3),
)  # fmt: skip
CUDA_CHOICES = (
    Schedule(kept=True), Schedule(kept=False), Schedule(block=64), Schedule(block=512), Schedule(vector=4), Schedule(vector=8),
    Schedule(team=32), Schedule(team=128), Schedule(team=512), Schedule(team=1024),
)  # fmt: skip
"""One choice at a time, each other than the model's for some kernels: what tuning tries and tests force."""


def choices_for(target: str) -> tuple[Schedule, ...]:
    return CPU_CHOICES if target == "cpu" else CUDA_CHOICES


def merged(first: Schedule, second: Schedule) -> Schedule:
    """Both, where they decide different things; else the second's."""
    return replace(first, **second.as_dict())


@dataclass(frozen=True)
class Schedules:
    """A schedule for each kernel: `of` by the content hash of its graph, else `default`."""

    default: Schedule = MODEL
    of: Mapping[str, Schedule] = field(default_factory=dict)

    def for_kernel(self, body: Graph) -> Schedule:
        return self.of.get(body.content_hash, self.default) if self.of else self.default


AS_MODELLED = Schedules()
