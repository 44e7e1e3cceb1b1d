"""Fusion: clusters of elementwise, view and reduction nodes become one fused node, and so one kernel, each.

The graph is walked from its outputs to its inputs. When a node's turn comes, all its readers have been placed, and each
has left a demand: "in this cluster, at these indices". The node then either joins the clusters that demand it - it is
computed there, in registers - or is put in memory, by a cluster of its own or as one more output of a cluster that computes it
anyway. What is asked is only an operator's kind and its index map; no operator is named.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from numfuse.compiler.graph import Graph, Node, is_scalar, seen_through
from numfuse.compiler.index import Axis
from numfuse.compiler.ops import operator
from numfuse.compiler.ops.gather import gathered, put_at
from numfuse.compiler.ops.views import broadcast_index
from numfuse.compiler.types import Shape, size_of
from numfuse.compiler.walks import strides_in_memory
from numfuse.passes.clusters import (
    Cluster,
    ClusterGraph,
    Indices,
    Places,
    covered,
    may_be_rows,
    own_index,
    own_places,
    plain_axes,
    repeated,
)
from numfuse.passes.costs import CHEAP, UNROLLED, Costs, in_kernels, reduced_length
from numfuse.passes.in_place import apart, operand_indices, region
from numfuse.passes.outline import outline
from numfuse.passes.rows import Machine, resident, stores_elements, writes_across

LARGEST = 160
"""Nodes in a kernel, at most: compile time and registers grow faster than kernels do."""
MOST_BUFFERS = 48
MOST_READS = 6
"""Large arrays that one kernel gathers from others: sums over the steps of a long loop would keep those of all steps."""
LARGE = 1 << 13
"""Elements of an array that is not left waiting in memory for no reason."""
LOAD = 3
"""What reading an element costs, in additions: values made from many arrays are read rather than computed again."""


@dataclass(frozen=True)
class Refusal:
    """An edge left unfused, and why."""

    producer: Node
    reason: str


class Fuser:
    def __init__(self, graph: Graph, machine: Machine) -> None:
        self.graph = graph
        self.machine = machine
        self.clusters = ClusterGraph()
        self.demands: dict[Node, dict[Cluster, Places]] = {}
        self.in_memory: dict[Node, None] = dict.fromkeys(graph.outputs)
        self.home: dict[Node, Cluster] = {}
        self.readers: dict[Node, list[Cluster]] = {}
        self.position = {node: place for place, node in enumerate((*graph.inputs, *graph.nodes))}
        costs = Costs(graph, machine.guard)
        self.work, self.loads, self.source_reduction = costs.work, costs.loads, costs.source_reduction
        self.refusals: list[Refusal] = []
        self.copied: set[Node] = set()
        """Views that are written out in their own order, so that a reshape of them is another view."""
        self.overwritten: dict[Node, Cluster] = {}
        """The arrays into whose memory a cluster writes: all others that read them run before it."""

    # -- the walk ----------------------------------------------------------------------------------------------------

    def run(self) -> Graph:
        for node in reversed((*self.graph.inputs, *self.graph.nodes)):
            kind = operator(node.op).kind
            if (node not in self.demands and node not in self.in_memory) or is_scalar(node):
                continue
            if (
                kind in ("guarded", "gather", "reduction")
                or (kind == "elementwise" and in_kernels(node))
                or node.op == "iota"
            ):
                self._place(node)
            elif kind == "view":
                self._place_view(node)
            elif kind == "store":
                self._place_store(node)
            elif kind == "product":
                self._place_product(node)
            else:
                self._place_whole(node)
        return outline(self.graph, self.clusters, self.position)

    def _place(self, node: Node) -> None:
        """Computes `node` in the clusters that demand it where that pays, and elsewhere puts it in memory."""
        demands = self._merged_demands(node)
        inside: list[Cluster] = []
        outside: list[Cluster] = []
        for cluster, places in demands.items():
            reason = self._refused(node, cluster, places)
            (outside if reason else inside).append(cluster)
            if reason:
                self.refusals.append(Refusal(node, reason))
        again = self.work[node] + LOAD * max(len(self.loads[node]) - 1, 0)
        if len(inside) > 1 and (len(inside) - 1) * again > CHEAP:
            # the one that can keep it computes it, and the others read it
            chosen = next(
                (
                    c
                    for c in inside
                    if self._can_store(node, c, demands[c], [o for o in inside if o is not c] + outside)
                ),
                None,
            )
            outside += [cluster for cluster in inside if cluster is not chosen]
            inside = [chosen] if chosen else []
            self.refusals.append(
                Refusal(node, f"{len(demands)} kernels need it, and computing it again costs more than reading it")
            )
        if outside or node in self.in_memory:
            home = next((c for c in inside if self._can_store(node, c, demands[c], outside)), None)
            if home is None:
                home = self.clusters.new()
                self._join(node, home, own_places(home, node))
                if self.work[node] > CHEAP:
                    outside, inside = outside + inside, []
            if len(self.loads[node]) > 1:
                readers = [c for c in inside if c is not home and not self.clusters.reaches(c, home)]
                outside += readers
                inside = [c for c in inside if c not in readers]
            self._store(node, home, outside)
        for cluster in inside:
            self._join(node, cluster, demands[cluster])

    def _place_view(self, node: Node) -> None:
        """A view is no work: it is read through wherever it is demanded, and needs no memory of its own."""
        if node in self.in_memory:
            (source,) = node.inputs
            if _moves(node) and operator(source.op).kind == "view":
                self.copied.add(source)
            if self._aliasable(node):
                self.in_memory.setdefault(source)
                self.readers.setdefault(source, []).extend(self.readers.get(node, []))
            else:
                home = self.clusters.new()
                self._join(node, home, own_places(home, node))
                self._store(node, home, [])
        for cluster, places in self._current_demands(node).items():
            self._join(node, cluster, places)

    def _aliasable(self, node: Node) -> bool:
        """Whether the view of its operand's memory can be had without a copy, whatever the operand's strides are."""
        if node in self.copied:
            return False
        (source,) = node.inputs
        moves = _moves(node) and source not in self.copied
        while operator(source.op).kind == "view" and source not in self.copied:
            if moves:
                return False
            (source,) = source.inputs
        return source.op != "constant" and not (moves and source.op == "input")

    def _place_store(self, node: Node) -> None:
        """A write in place: a cluster of its own, which computes what is written and has no other output. At places that may be met
        twice, it does so in order."""
        base, value, *places = node.inputs
        home = self.clusters.new()
        index = own_index(value.shape)
        home.add_axes(index)
        home.nodes[node] = None
        home.store = region(node, index)
        readers = list(self._merged_demands(node))
        self._store(node, home, readers)
        home.outputs[node] = index
        self.overwritten[base] = home
        self.in_memory.setdefault(base)
        self.readers.setdefault(base, []).append(home)
        if node.op == "scan":  # its loop, and those within, run in order
            home.rows = tuple([axis for part in index[: node.params["axis"]] for axis in part.axes])
        self._demand(value, home, index, frozenset(home.axes))
        for place, at in zip(places, put_at(node, index)[0] if places else (), strict=True):
            home.rows = () if place.shape else home.rows
            self._demand(place, home, at, frozenset(home.axes))

    def _place_whole(self, node: Node) -> None:
        """Inputs, array constants and library calls: clusters read them from memory."""
        readers = list(self._merged_demands(node))
        if node.inputs:
            home = self.clusters.new()
            home.call = node
            self._store(node, home, readers)
            self._read_from_memory(home, [source for source in node.inputs if not is_scalar(source)])

    def _place_product(self, node: Node) -> None:
        """A kernel of its own, which reads its operands from memory, through views of them."""
        readers = list(self._merged_demands(node))
        home = self.clusters.new()
        home.call = node
        home.nodes[node] = None
        self._store(node, home, readers)
        for source in node.inputs:
            while operator(source.op).kind == "view" and strides_in_memory(source) is not None:
                home.nodes[source] = None
                (source,) = source.inputs
            self._read_from_memory(home, [source])

    def _read_from_memory(self, home: Cluster, sources: Sequence[Node]) -> None:
        for source in sources:
            self.in_memory.setdefault(source)
            self.readers.setdefault(source, []).append(home)
            over = self.overwritten.get(seen_through(source))
            if over is not None:
                self.clusters.add_edge(home, over)

    # -- joining and storing -----------------------------------------------------------------------------------------

    def _current_demands(self, node: Node) -> dict[Cluster, Places]:
        current: dict[Cluster, Places] = {}
        for cluster, places in self.demands.get(node, {}).items():
            merged = current.setdefault(self.clusters.find(cluster), {})
            for index, loops in places.items():
                merged[index] = merged.get(index, frozenset()) | loops
        return current

    def _merged_demands(self, node: Node) -> dict[Cluster, Places]:
        """The demands on `node`, after merging the clusters that read it at the same places: they become siblings."""
        demands = self._current_demands(node)
        if len(demands) < 2 or (size_of(node.shape) == 1 and any(cluster.axes for cluster in demands)):
            return demands
        first, *others = sorted(demands, key=lambda cluster: cluster.number)
        merged = False
        for other in others[:8]:
            if demands[first].keys() == demands[other].keys() and self._mergeable(first, other):
                self.clusters.merge(first, other)
                merged = True
        return self._current_demands(node) if merged else demands

    def _mergeable(self, one: Cluster, other: Cluster) -> bool:
        if one.call or other.call or one.store or other.store or len(one.nodes) + len(other.nodes) > LARGEST:
            return False
        if one.rows is None and other.rows is None:
            if set(one.axes) != set(other.axes):
                return False
        else:
            rows = one.rows if one.rows is not None else other.rows
            assert rows is not None
            if one.rows is not None and other.rows is not None and set(one.rows) != set(other.rows):
                return False
            for cluster in (one, other):
                for index in cluster.outputs.values():
                    if not set(rows) <= set(plain_axes(index) or ()):
                        return False
                if (
                    cluster.rows is None
                    and set(cluster.axes) != set(rows)
                    and not resident(self.machine, None, cluster)
                ):
                    return False
        if len(one.outputs) + len(other.outputs) > MOST_BUFFERS // 2:
            return False
        return not self.clusters.reaches(one, other) and not self.clusters.reaches(other, one)

    def _can_store(self, node: Node, cluster: Cluster, places: Places, readers: list[Cluster]) -> bool:
        """Whether `cluster` computes every element of `node` once, and can so put it in memory for the others."""
        if cluster.store is not None or len(places) != 1 or len(cluster.outputs) >= MOST_BUFFERS // 2:
            return False
        axes = plain_axes(next(iter(places)))
        if axes is None or size_of([axis.extent for axis in axes]) != size_of(node.shape):
            return False
        rows = cluster.domain if cluster.rows is None else cluster.rows
        if not set(rows) <= set(axes):
            return False
        if set(axes) != set(rows) and not resident(self.machine, None, cluster):
            return False
        everyone = [self.clusters.find(reader) for reader in (*readers, *self.readers.get(node, []))]
        return self.clusters.needed_by(cluster).isdisjoint(everyone)

    def _store(self, node: Node, home: Cluster, readers: list[Cluster]) -> None:
        self.home[node] = home
        demanded = self._current_demands(node).get(home, {})
        home.outputs[node] = next(iter(demanded)) if len(demanded) == 1 else own_index(node.shape)
        self.in_memory.setdefault(node)
        for reader in (*readers, *self.readers.get(node, [])):
            self.clusters.add_edge(home, self.clusters.find(reader))
            self.clusters.find(reader).reads.add(node)

    def _join(self, node: Node, cluster: Cluster, places: Places) -> None:
        """Computes `node` in `cluster` at these places: its operands are demanded there in turn."""
        row = operator(node.op)
        cluster.nodes[node] = None
        for index, loops in places.items():
            if row.kind == "elementwise":
                for source in node.inputs:
                    self._demand(source, cluster, broadcast_index(source.shape, index), loops)
            elif row.kind == "reduction":
                (source,) = node.inputs
                inside = self._reduced_index(node, cluster, index)
                axes = frozenset([axis for part in inside for axis in part.axes])
                around = frozenset(cluster.rows) if cluster.rows is not None else loops
                if node.params.get("block"):  # the reduced axis walks all blocks
                    around -= index[node.params["axis"][0]].axes
                self._demand(source, cluster, inside, axes | around)
            elif row.kind == "gather":
                of_places, inside = gathered(node, index)
                for source, place in zip(node.inputs, (inside, *of_places), strict=True):
                    self._demand(source, cluster, place, loops)
            elif row.pull is not None:
                shapes = [source.shape for source in node.inputs]
                for case in row.pull(shapes, node.params, node.shape, index):
                    self._demand(node.inputs[case.operand], cluster, case.index, loops)

    def _demand(self, node: Node, cluster: Cluster, index: Indices, loops: frozenset[Axis]) -> None:
        if not is_scalar(node):
            places = self.demands.setdefault(node, {}).setdefault(cluster, {})
            places[index] = places.get(index, frozenset()) | loops
            over = self.overwritten.get(seen_through(node))  # views of it come to be placed later
            if over is not None and over is not cluster:
                self.clusters.add_edge(cluster, over)

    def _reduced_index(self, node: Node, cluster: Cluster, index: Indices) -> Indices:
        """Index into a reduction's operand, the reduced axes as loops of the cluster."""
        (source,), axis = node.inputs, node.params["axis"]
        kept = plain_axes(index)
        if cluster.rows is None and kept is not None and covered(cluster, kept):
            cluster.rows = kept
        inner = iter(cluster.inner_axes([source.shape[a] for a in axis]))
        outer = iter([part for a, part in enumerate(index) if not (node.params.get("block") and a in axis)])
        return tuple([next(inner) if a in axis else next(outer) for a in range(len(source.shape))])

    # -- what pays ---------------------------------------------------------------------------------------------------

    def _refused(self, node: Node, cluster: Cluster, places: Places) -> str:
        """Why `node` is not computed in `cluster` at these indices; empty where it is."""
        if cluster.call:
            return "a library call reads whole arrays"
        if len(cluster.nodes) >= LARGEST and node.inputs:  # a source is no work, but something to read
            return f"the kernel has {LARGEST} operations already"
        if _gathers(node.inputs, 2) and _gathers(cluster.reads, MOST_READS):
            return f"the kernel reads {MOST_READS} large intermediate results already, which wait in memory for it"
        if self.overwritten and self._reads_overwritten(node, cluster, places):
            return "it reads an array that is written to in place: before that, or at other elements"
        if operator(node.op).kind == "reduction":
            return self._reduction_refused(node, cluster, places)
        if self.work[node] > CHEAP and any(part.elements for index in places for part in index):
            return "it is read at places that only the run knows, and costs more to compute than to read"
        if len(places) > 1 and (len(places) - 1) * self.work[node] > CHEAP:
            return f"it is needed at {len(places)} places for each result, and costs more to compute than to read"
        hoisted = cluster.rows is not None and all(
            set(plain_axes(index) or (None,)) <= set(cluster.rows) for index in places
        )
        times = max([repeated(index, loops) for index, loops in places.items()], default=1)
        if not hoisted and times > 1:  # it is spread over more elements than it has
            reduction = self.source_reduction[node]
            if reduction is not None and (times <= UNROLLED or all(may_be_rows(cluster, index) for index in places)):
                return (
                    ""
                    if resident(self.machine, reduction, cluster)
                    else "it is made from a reduction whose rows do not stay in the cache"
                )
            if self.work[node] > 2 * CHEAP:
                return "it is the same for many elements, and costs more to compute than to read"
        return ""

    def _reads_overwritten(self, node: Node, cluster: Cluster, places: Places) -> bool:
        """Whether `node` reads an array that is overwritten before the cluster runs, or by the cluster itself but not element by element."""
        if self.overwritten.get(node) is cluster:  # it is in memory, and is read from there
            return True
        for source in node.inputs:
            over = self.overwritten.get(seen_through(source))
            if over is not None and over is not cluster and self.clusters.reaches(over, cluster):
                return True
        if cluster.store is None:
            return False
        (stored,) = cluster.outputs
        base = stored.inputs[0]
        if operator(node.op).kind == "reduction":
            return self._made_from(node, base)
        for index in places:
            for source, at in operand_indices(node, index):
                while operator(source.op).kind == "view":
                    ((source, at),) = operand_indices(source, at)
                if source is base and not apart(at, cluster.store):
                    return True
        return False

    def _made_from(self, node: Node, base: Node) -> bool:
        """Whether any operand of `node`, or of theirs, is `base`."""
        pending, met = [node], {node}
        while pending:
            for source in pending.pop().inputs:
                if source is base:
                    return True
                if source not in met and self.position[source] > self.position[base]:
                    met.add(source)
                    pending.append(source)
        return False

    def _reduction_refused(self, node: Node, cluster: Cluster, places: Places) -> str:
        length = reduced_length(node)
        reason = "a reduction is computed once for each row of a kernel, and this one is needed elsewhere"
        if len(places) == 1 and node.params.get("block") is None:
            kept = plain_axes(next(iter(places)))
            same_rows = kept is not None and (cluster.rows is None or set(cluster.rows) == set(kept))
            same_rows = same_rows and kept is not None and covered(cluster, kept)
            if kept is not None and same_rows and size_of([a.extent for a in kept]) == size_of(node.shape):
                if writes_across(node, cluster, kept):
                    return "its rows are columns of what the kernel writes"
                if not stores_elements(cluster, kept) or resident(self.machine, node, cluster):
                    return ""
                reason = "its rows are too long to stay in the cache, or too few to keep the device busy"
        if 0 < length * len(places) <= UNROLLED and self.work[node] * len(places) <= 8 * CHEAP:
            return ""
        return reason


def _moves(node: Node) -> bool:
    """Whether it is a reshape that is a view only of arrays in C order."""
    return node.op == "reshape" and _without_ones(node.shape) != _without_ones(node.inputs[0].shape)


def _without_ones(shape: Shape) -> list[int]:
    return [extent for extent in shape if extent != 1]


def _gathers(sources: Collection[Node], count: int) -> bool:
    """Whether so many of them are large arrays."""
    return len(sources) >= count and sum(size_of(one.shape) >= LARGE for one in sources) >= count


def fuse(graph: Graph, machine: Machine) -> Graph:
    return Fuser(graph, machine).run()
