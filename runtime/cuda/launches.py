"""Launches in machine code: a kernel by one call of the driver, and several by one launch of a CUDA graph.

Each is a `Launch` of a whole call (`runtime/cpu/entry.py`), which gives the addresses of arrays and the places of numbers. What does not change
from call to call stands in words beside the code. They run under the GIL, so these words are one call's at a time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.runtime.cpu.entry import Launch
from numfuse.runtime.cpu.launch import POINTERS, address_of


@dataclass
class KernelCall:
    """A kernel with its launch shape. Its arguments are `n` and what `pointers` says; `numbers`: which of these are read where they are and given by value."""

    function: int
    grid: int
    block: int
    n: int
    pointers: Sequence[tuple[int, int]]
    numbers: Sequence[bool]

    def __post_init__(self) -> None:
        self.values = np.zeros(1 + len(self.pointers), np.int64)
        self.values[0] = self.n
        self.places = self.values.ctypes.data + 8 * np.arange(len(self.values), dtype=np.int64)
        """What the driver is given: where each argument is."""


class NodeParameters(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS_v2."""

    _fields_ = [
        ("function", ctypes.c_void_p),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("arguments", ctypes.c_void_p),
        ("extra", ctypes.c_void_p),
        ("kernel", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
    ]


class Graph:
    """A CUDA graph of kernels that run one after another, ready to launch. It stays, as the code does that launches it."""

    def __init__(self, gpu: Any, calls: Sequence[KernelCall]) -> None:
        driver = gpu.driver
        self.graph = driver.made("cuGraphCreate", 0)
        self.nodes: list[int] = []
        self.parameters = [
            NodeParameters(call.function, (call.grid, 1, 1), (call.block, 1, 1), 0, call.places.ctypes.data)
            for call in calls
        ]
        for parameters in self.parameters:
            before = (ctypes.c_void_p * 1)(*self.nodes[-1:])
            node = driver.made(
                "cuGraphAddKernelNode_v2", self.graph, before, len(self.nodes[-1:]), ctypes.addressof(parameters)
            )
            self.nodes.append(node)
        self.executable = driver.made("cuGraphInstantiateWithFlags", self.graph, 0)


def launches_of(gpu: Any, calls: Sequence[KernelCall]) -> list[Launch]:
    """The kernels in order: two and more as graphs."""
    parts: list[list[KernelCall]] = [[]]
    for call in calls:
        if sum(len(other.pointers) for other in (*parts[-1], call)) > POINTERS:
            parts.append([])
        parts[-1].append(call)
    return [_graph_launch(gpu, part) if len(part) > 1 else _kernel_launch(gpu, part[0]) for part in parts if part]


def in_context(gpu: Any) -> Launch:
    """Ends the call where the device is not current in this thread."""
    words = np.array([gpu.driver.addresses["cuCtxGetCurrent"], gpu.context], np.int64)
    return Launch(address_of("numfuse_cuda_in_context", _context_ir), words.ctypes.data, 0, (), words)


def _kernel_launch(gpu: Any, call: KernelCall) -> Launch:
    shape = (call.function, call.grid, call.block, gpu.stream, call.places.ctypes.data, call.values.ctypes.data + 8)
    words = np.array([gpu.driver.addresses["cuLaunchKernel"], *shape, len(call.numbers), *call.numbers], np.int64)
    return Launch(address_of("numfuse_cuda_kernel", _kernel_ir), words.ctypes.data, 0, call.pointers, (words, call))


def _graph_launch(gpu: Any, calls: Sequence[KernelCall]) -> Launch:
    made, addresses = Graph(gpu, calls), gpu.driver.addresses
    words = [addresses["cuGraphLaunch"], addresses["cuGraphExecKernelNodeSetParams_v2"], made.executable, gpu.stream]
    words.append(len(calls))
    for node, parameters, call in zip(made.nodes, made.parameters, calls, strict=True):
        words += [node, ctypes.addressof(parameters), call.values.ctypes.data + 8, len(call.numbers), *call.numbers]
    table = np.array(words, np.int64)
    pointers = [pointer for call in calls for pointer in call.pointers]
    kept = (table, made, list(calls))
    return Launch(address_of("numfuse_cuda_graph", _graph_ir), table.ctypes.data, 0, pointers, kept)


def _words(*fields: tuple[str, str], of: str = "%words", first: int = 0) -> str:
    """Loads words, each with its kind."""
    return "".join(
        f"  %{name}_at = getelementptr i64, ptr {of}, i64 {place}\n  %{name} = load {kind}, ptr %{name}_at\n"
        for place, (name, kind) in enumerate(fields, first)
    )


def _context_ir(name: str) -> str:
    """LLVM IR of a function like `call_ir`'s: 1 where the thread's context is not the one in the words."""
    return f"""
define i64 @{name}(ptr %words, i64 %lo, i64 %hi, ptr %addresses) {{
  %found_at = alloca i64
  store i64 0, ptr %found_at
{_words(("get", "ptr"), ("wanted", "i64"))}
  %status = call i32 %get(ptr %found_at)
  %found = load i64, ptr %found_at
  %other = icmp ne i64 %found, %wanted
  %stop = zext i1 %other to i64
  ret i64 %stop
}}
"""


def _kernel_ir(name: str) -> str:
    """LLVM IR of a function like `call_ir`'s that launches one kernel and returns the driver's status. The words: cuLaunchKernel, the function, blocks,
    threads, stream, the places of the arguments, the arguments, how many they are beside `n`, and of each whether it is a number."""
    fields = (("run", "ptr"), ("function", "ptr"), ("grid", "i32"), ("block", "i32"), ("stream", "ptr"))
    return f"""{_PUT}
define i64 @{name}(ptr %words, i64 %lo, i64 %hi, ptr %addresses) {{
{_words(*fields, ("places", "ptr"), ("values", "ptr"), ("count", "i64"))}
  %kinds = getelementptr i64, ptr %words, i64 8
  %changed = call i64 @numfuse_put(ptr %addresses, ptr %values, ptr %kinds, i64 %count)
  %status = call i32 %run(ptr %function, i32 %grid, i32 1, i32 1, i32 %block, i32 1, i32 1, i32 0, ptr %stream, ptr %places, ptr null)
  %stop = sext i32 %status to i64
  ret i64 %stop
}}
"""


def _graph_ir(name: str) -> str:
    """LLVM IR of a function like `call_ir`'s that launches a graph and returns the driver's status. Of the kernels, those are told anew whose arguments are
    others than at the last call. The words: cuGraphLaunch, cuGraphExecKernelNodeSetParams, the graph, stream, how many kernels, and of each the node,
    its parameters, its arguments, how many they are beside `n`, and of each whether it is a number."""
    return f"""{_PUT}
define i64 @{name}(ptr %words, i64 %lo, i64 %hi, ptr %addresses) {{
start:
{_words(("run", "ptr"), ("tell", "ptr"), ("graph", "ptr"), ("stream", "ptr"), ("kernels", "i64"))}
  %first = getelementptr i64, ptr %words, i64 5
  br label %each
each:
  %k = phi i64 [ 0, %start ], [ %k_next, %told ]
  %node_words = phi ptr [ %first, %start ], [ %node_next, %told ]
  %given = phi ptr [ %addresses, %start ], [ %given_next, %told ]
  %all = icmp eq i64 %k, %kernels
  br i1 %all, label %launch, label %look
look:
{_words(("node", "ptr"), ("parameters", "ptr"), ("values", "ptr"), ("count", "i64"), of="%node_words")}
  %kinds = getelementptr i64, ptr %node_words, i64 4
  %changed = call i64 @numfuse_put(ptr %given, ptr %values, ptr %kinds, i64 %count)
  %same = icmp eq i64 %changed, 0
  br i1 %same, label %told, label %change
change:
  %answer = call i32 %tell(ptr %graph, ptr %node, ptr %parameters)
  %well = icmp eq i32 %answer, 0
  br i1 %well, label %told, label %failed
failed:
  store i64 -1, ptr %values ; no address: it is told again next time
  %reason = sext i32 %answer to i64
  ret i64 %reason
told:
  %k_next = add i64 %k, 1
  %node_next = getelementptr i64, ptr %kinds, i64 %count
  %given_next = getelementptr ptr, ptr %given, i64 %count
  br label %each
launch:
  %status = call i32 %run(ptr %graph, ptr %stream)
  %stop = sext i32 %status to i64
  ret i64 %stop
}}
"""


_PUT = """
; puts the arguments of a kernel where the driver reads them; 0 where they all were there
define internal i64 @numfuse_put(ptr %addresses, ptr %values, ptr %kinds, i64 %count) {
start:
  br label %each
each:
  %k = phi i64 [ 0, %start ], [ %next, %put ]
  %changed = phi i64 [ 0, %start ], [ %changed_next, %put ]
  %all = icmp eq i64 %k, %count
  br i1 %all, label %done, label %look
look:
  %address_at = getelementptr i64, ptr %addresses, i64 %k
  %address = load i64, ptr %address_at
  %kind_at = getelementptr i64, ptr %kinds, i64 %k
  %kind = load i64, ptr %kind_at
  %is_pointer = icmp eq i64 %kind, 0
  br i1 %is_pointer, label %put, label %read
read:
  %number_at = inttoptr i64 %address to ptr
  %number = load i64, ptr %number_at
  br label %put
put:
  %new = phi i64 [ %address, %look ], [ %number, %read ]
  %value_at = getelementptr i64, ptr %values, i64 %k
  %old = load i64, ptr %value_at
  store i64 %new, ptr %value_at
  %differs = xor i64 %old, %new
  %changed_next = or i64 %changed, %differs
  %next = add i64 %k, 1
  br label %each
done:
  ret i64 %changed
}
"""
