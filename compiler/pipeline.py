"""The pipeline: the passes in reading order. It can time each, check the graph after each, and keep what each made."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from numfuse.compiler.graph import Graph, Node
from numfuse.compiler.targets import Target
from numfuse.passes.associate import associate
from numfuse.passes.contiguous import contiguous
from numfuse.passes.cse import cse
from numfuse.passes.dead import dead
from numfuse.passes.epilogue import epilogue
from numfuse.passes.expand import expand
from numfuse.passes.fold import fold
from numfuse.passes.fuse import fuse
from numfuse.passes.in_place import in_place
from numfuse.passes.join import join
from numfuse.passes.online import online
from numfuse.passes.panels import panels
from numfuse.passes.products import products
from numfuse.passes.reorder import reorder
from numfuse.passes.scan import scan
from numfuse.passes.scatter import scatter
from numfuse.passes.simplify import simplify
from numfuse.passes.split import split

Given = Mapping[Node, int]
"""The inputs whose memory the program may write to, and for each the output that it must hold at the end."""
Pass = Callable[[Graph, Target, Given], Graph]


def _online(graph: Graph, target: Target) -> Graph:
    return online(graph, target.few, target.few_columns, target.machine.row_bytes, target.online)


PASSES: tuple[tuple[str, Pass], ...] = (
    ("fold", lambda graph, target, given: fold(graph)),
    ("simplify", lambda graph, target, given: simplify(graph)),
    ("cse", lambda graph, target, given: cse(graph)),
    ("dead", lambda graph, target, given: dead(graph)),
    ("associate", lambda graph, target, given: dead(associate(graph, target.fastmath))),
    ("products", lambda graph, target, given: products(graph, target.product_call, target.half_products)),
    ("panels", lambda graph, target, given: panels(graph, target.product_vector())),
    ("expand", lambda graph, target, given: expand(graph)),
    ("online", lambda graph, target, given: _online(graph, target)),
    ("split", lambda graph, target, given: split(graph, target.few, target.few_columns, target.repeats)),
    ("reorder", lambda graph, target, given: reorder(graph)),
    ("tidy", lambda graph, target, given: dead(cse(simplify(graph)))),
    ("in_place", lambda graph, target, given: in_place(graph, given, target.in_order)),
    ("scatter", lambda graph, target, given: scatter(graph, target.in_order)),
    ("scan", lambda graph, target, given: scan(graph, target.in_order)),
    ("join", lambda graph, target, given: join(graph)),
    ("contiguous", lambda graph, target, given: dead(contiguous(graph, target.strided_copies))),
    ("epilogue", lambda graph, target, given: dead(epilogue(graph, target.fastmath)) if target.epilogues else graph),
    ("fuse", lambda graph, target, given: fuse(graph, target.machine)),
)
"""`tidy` is simplify, cse and dead again, on what products, expand and split wrote."""


@contextmanager
def without_collector() -> Iterator[None]:
    """Keeps Python's cycle collector from scanning a growing graph again and again; graphs have no cycles.

    What was made meanwhile joins the old generation without a scan: that is what freezing and unfreezing does.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


@dataclass
class Stage:
    """What one pass made, and how long it took."""

    name: str
    graph: Graph
    seconds: float


@dataclass
class Trail:
    """The stages of one run of the pipeline. `check`: verify the graph after each pass."""

    check: bool = False
    stages: list[Stage] = field(default_factory=list)

    def table(self) -> str:
        """Each pass with its time and the number of nodes it left."""
        lines = [f"{'pass':<10}{'ms':>8}{'nodes':>8}"]
        lines += [f"{stage.name:<10}{stage.seconds * 1e3:>8.2f}{len(stage.graph.nodes):>8}" for stage in self.stages]
        return "\n".join(lines)


def optimize(
    graph: Graph, target: Target, *, last: str = "fuse", trail: Trail | None = None, given: Given | None = None
) -> Graph:
    """Runs the passes up to and with the one named `last`. Raises KeyError for an unknown name."""
    names = [name for name, _ in PASSES]
    if last not in names:
        raise KeyError(f"unknown pass {last!r}; the passes are {', '.join(names)}")
    trail = trail if trail is not None else Trail()
    settled: Graph | None = None
    for name, run in PASSES[: names.index(last) + 1]:
        start = time.perf_counter()
        if not (name == "tidy" and graph is settled):  # nothing has changed since the passes that it repeats
            graph = run(graph, target, given or {})
        if name == "dead":
            settled = graph
        trail.stages.append(Stage(name, graph, time.perf_counter() - start))
        if trail.check:
            graph.check()
    return graph
