"""Compiled functions: running them, and what their kernels take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numfuse.compiler.lower.program import Stopped
from numfuse.compiler.staged import Output, Traced
from numfuse.compiler.trace.recorder import Feed
from numfuse.compiler.tree import Tree, follow, set_contents
from numfuse.compiler.views import view_through
from numfuse.runtime.cuda.array import DeviceArray, DeviceLayout

if TYPE_CHECKING:
    from numfuse.compiler.lowered import Kernel, Lowered
    from numfuse.compiler.roofline import Roofline


Assemble = Callable[[Sequence[Any], Sequence[Any]], Any]
"""Makes a result of the function from the graph's results and the call's leaves."""


class Compiled:
    """A function that is ready to run, for arguments of the specs it was traced with."""

    def __init__(self, lowered: Lowered, traced: Traced) -> None:
        self.lowered = lowered
        self.traced = traced
        self.executable = lowered.device.compile(lowered.program, self.traced.options)
        self._read = readers(traced)
        result, changed = self.traced.tree.children
        whole = Tree("tuple", tuple, (result, *changed.children)) if self.traced.updates else result
        self._result = _assembler(whole, iter(self.traced.outputs))
        self.plain = not self.traced.updates and self._plain_layouts()
        self.direct = self.plain and not self.traced.writes
        arrays = [k for k, leaf in enumerate(traced.leaves) if leaf.is_array]
        self._written = [(write.leaf, other) for write in traced.writes for other in arrays if other != write.leaf]
        self._captured = [feed.captured for feed in traced.feeds if feed.captured is not None and traced.writes]

    def _plain_layouts(self) -> bool:
        """Whether every array argument is read as it lies."""
        traced = self.traced
        on_device = {k for k, leaf in enumerate(traced.leaves) if leaf.on_device and self.lowered.target.name == "cuda"}
        layouts = zip(traced.feeds, traced.layouts(), strict=True)
        as_they_lie = all(
            layout is not None or feed.converted or feed.key or feed.leaf in on_device for feed, layout in layouts
        )
        return as_they_lie and not any(leaf.scalar for leaf in traced.leaves)

    def entry(self, kinds: Sequence[Any]) -> Callable[..., Any] | None:
        """A callable for arguments of these kinds (`calls.kind_of`) that does a whole call, or gives NotImplemented for others; None where it takes more."""
        traced = self.traced
        if (
            not self.plain
            or not hasattr(self.executable, "entry")
            or any(feed.key is not None for feed in traced.feeds)
        ):
            return None
        converted = {
            feed.leaf: node.dtype
            for feed, node in zip(traced.feeds, traced.graph.inputs, strict=True)
            if feed.converted
        }
        specs: list[Any] = []
        for leaf, kind in enumerate(kinds):
            if kind is float or kind is int:
                specs.append((kind, converted.get(leaf, np.dtype(kind))))
            elif isinstance(kind, DeviceLayout) or (isinstance(kind, tuple) and isinstance(kind[0], np.dtype)):
                specs.append(kind)
            else:
                return None
        given = [feed.leaf if feed.captured is None else feed.captured for feed in traced.feeds]
        check, call = self.executable.entry(specs, given, [write.leaf for write in traced.writes])
        if call is not None:
            donors = {number: given[argument] for number, argument in self.executable.donated.items()}
            results = self.lowered.program.results
            return _finishing(
                call, traced, self._result, [donors.get(k) for k in results[: len(results) - len(traced.checks)]]
            )
        run = self.run
        return check and (lambda *args: NotImplemented if check(*args) is NotImplemented else run(args, (args, {})))

    def overlapping(self, leaves: Sequence[Any]) -> bool:
        """Whether an argument that the function writes to shares memory with another one."""
        if any(np.may_share_memory(leaves[w], leaves[k]) for w, k in self._written):
            return True
        return any(
            np.may_share_memory(leaves[write.leaf], array) for array in self._captured for write in self.traced.writes
        )

    # -- looking at it -----------------------------------------------------------------------------------------------

    @property
    def kernels(self) -> list[Kernel]:
        return self.lowered.kernels

    @property
    def library_calls(self) -> list[str]:
        return self.lowered.library_calls

    def as_text(self) -> str:
        """The machine code of each kernel, as text."""
        distinct = {kernel.name: kernel for kernel in self.kernels}
        return "\n\n".join(f"; {name}\n{kernel.assembly}" for name, kernel in distinct.items())

    def cost_analysis(self) -> dict[str, Any]:
        """Bytes moved and flops, in all (`bytes`, `flops`) and of each launch (`kernels`). Library calls are not counted."""
        kernels = [{"name": kernel.name, **kernel.cost} for kernel in self.kernels]
        return {
            "bytes": sum(kernel["bytes"] for kernel in kernels),
            "flops": sum(kernel["flops"] for kernel in kernels),
            "kernels": kernels,
        }

    def memory_analysis(self) -> dict[str, int]:
        """As `Lowered.memory_analysis`."""
        return self.lowered.memory_analysis()

    def roofline(self, *args: Any, **kwargs: Any) -> Roofline:
        """Runs the kernels on copies of these arguments, and tells for each its bytes and work, what bounds it, how long that takes on this
        machine at least, and how long it took. Raises TypeError where an argument is not as it was traced, or the device is not here.

        >>> print(f.lower(x).compile().roofline(x))  # doctest: +SKIP
        kernel   MB  Mflop  bound by  at least    took  of the bound
        softmax  33.6   113  memory     755 us  911 us           83%
        """
        from numfuse.compiler.jit import checked_leaves
        from numfuse.compiler.roofline import measured

        return measured(self.lowered, checked_leaves(self, args, kwargs))

    # -- calling it --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls it as the traced function is called. Raises TypeError where an argument is not as it was traced."""
        from numfuse.compiler.jit import call_compiled

        return call_compiled(self, args, kwargs)

    def run(self, leaves: Sequence[Any], call: tuple[Any, Any], taken: Sequence[Any] | None = None) -> Any:
        """The function's result for the flattened arguments; `call` is (args, kwargs), for updates of what they hold.

        `taken`: the arguments as kernels take them, where that is not as they are.
        """
        for write in self.traced.writes:
            if not getattr(getattr(leaves[write.leaf], "flags", None), "writeable", True):
                raise ValueError("assignment destination is read-only")
        given = leaves if taken is None else taken
        try:
            results = self.executable([read(given) for read in self._read])
        except Stopped as stopped:
            results = stopped.flags
        if self.traced.checks:
            self._look(results, given)
        for write in self.traced.writes:
            write_back(leaves[write.leaf], results[write.result])
        if not self.traced.updates:
            return self._result(results, leaves)
        result, *changed = self._result(results, leaves)
        for update, contents in zip(self.traced.updates, changed, strict=True):
            set_contents(follow(call, update.path), update.keys, contents)
        return result

    def _look(self, results: Sequence[Any], leaves: Sequence[Any]) -> None:
        """Raises the error of the first check that failed."""
        checks = self.traced.checks
        for check, flag in zip(checks, results[len(results) - len(checks) :], strict=True):
            if flag.numpy() if isinstance(flag, DeviceArray) else flag:
                given = [read(leaves) for read in self._read]
                values = [value.numpy() if isinstance(value, DeviceArray) else value for value in given]
                raise check.failure(self.traced.graph, dict(zip(self.traced.graph.inputs, values, strict=True)))


def write_back(target: Any, result: Any) -> None:
    """Puts a result into an argument that the function wrote to, unless it was computed in that very memory."""
    if target is result:
        return
    if isinstance(target, DeviceArray):
        if not target.contiguous or not isinstance(result, DeviceArray):
            raise ValueError("the function writes to a device array that is not C-contiguous; pass a contiguous one")
        target.gpu.copy(target.address, result.address, target.nbytes)
        return
    np.copyto(target, result.numpy() if isinstance(result, DeviceArray) else result, casting="unsafe")


def readers(traced: Traced) -> list[Callable[[Sequence[Any]], Any]]:
    """For each input of the graph, what takes its value from a call's leaves."""
    return [_reader(feed, node.dtype) for feed, node in zip(traced.feeds, traced.graph.inputs, strict=True)]


def arguments_to_measure(traced: Traced, leaves: Sequence[Any]) -> list[Any]:
    """The inputs of the graph from a call's leaves, without a draw from any generator: their keys are 0."""
    reads = zip(readers(traced), traced.feeds, strict=True)
    return [np.asarray(0, np.uint64) if feed.key is not None else read(leaves) for read, feed in reads]


def _reader(feed: Feed, dtype: np.dtype) -> Callable[[Sequence[Any]], Any]:
    """What takes a graph input's value from a call's leaves."""
    if feed.captured is not None:
        captured = feed.captured
        return lambda leaves: captured
    leaf, kind, key = feed.leaf, dtype.type, feed.key
    if key is not None:
        return lambda leaves: np.asarray(key(None if leaf is None else leaves[leaf]), np.uint64)
    assert leaf is not None
    if feed.converted:
        return lambda leaves: np.asarray(kind(leaves[leaf]))  # Python numbers: out of range is NumPy's OverflowError
    return lambda leaves: leaves[leaf]


def _finishing(
    call: Callable[..., Any], traced: Traced, assemble: Assemble, places: Sequence[int | None]
) -> Callable[..., Any]:
    """`call`, which gives the graph's result, or a tuple of several or none, with the function's result in place of it, and what it writes written.

    `places`: for each of the graph's results, the argument in whose memory it is; the call gives the others.
    """
    tree, outputs, count = traced.tree.children[0], traced.outputs, len(places)
    fresh = [number for number, place in enumerate(places) if place is None]
    plain = not any(output.steps or output.unwrap for output in outputs)
    if plain and not traced.writes and [output.result for output in outputs] == fresh == list(range(count)):
        flat = tree.kind == "tuple" and tree.static is tuple and all(child.kind == "leaf" for child in tree.children)
        if tree.kind == "leaf" or (flat and len(outputs) > 1):
            return call
    copied = [(write.leaf, write.result) for write in traced.writes if places[write.result] is None]
    if len(fresh) == count and not copied:

        def finishing(*args: Any) -> Any:
            made = call(*args)
            return made if made is NotImplemented else assemble((made,) if count == 1 else made, args)

        return finishing

    def writing(*args: Any) -> Any:
        made = call(*args)
        if made is NotImplemented:
            return made
        new = iter((made,) if len(fresh) == 1 else made)
        results = [next(new) if place is None else args[place] for place in places]
        for leaf, number in copied:
            write_back(args[leaf], results[number])
        return assemble(results, args)

    return writing


def _assembler(tree: Tree, outputs: Iterator[Output]) -> Assemble:
    """What puts a result of the shape `tree` together."""
    if tree.kind == "leaf":
        return _finisher(next(outputs))
    if tree.kind == "static":
        value = tree.static
        return (
            (lambda results, leaves: value.copy()) if isinstance(value, np.ndarray) else (lambda results, leaves: value)
        )
    parts = [_assembler(child, outputs) for child in tree.children]
    if tree.kind == "dict":
        kind, keys = tree.static
        return lambda results, leaves: kind(zip(keys, [part(results, leaves) for part in parts], strict=True))
    kind = tree.static
    if hasattr(kind, "_fields"):
        return lambda results, leaves: kind(*[part(results, leaves) for part in parts])
    if kind is tuple and len(parts) == 2:
        first, second = parts
        return lambda results, leaves: (first(results, leaves), second(results, leaves))
    return lambda results, leaves: kind([part(results, leaves) for part in parts])


def _finisher(output: Output) -> Assemble:
    """What makes one leaf of the result."""
    number = output.result
    if number is not None and not output.steps and not output.unwrap:
        return lambda results, leaves: results[number]

    def finish(results: Sequence[Any], leaves: Sequence[Any]) -> Any:
        if number is not None:
            value = results[number]
        else:
            value = leaves[output.leaf] if output.leaf is not None else output.captured
        if output.steps:
            value = view_through(value, output.steps, results)
        if output.unwrap:
            value = value.numpy() if isinstance(value, DeviceArray) else value
            return value[()] if output.unwrap == "scalar" else value.item()
        return value

    return finish
