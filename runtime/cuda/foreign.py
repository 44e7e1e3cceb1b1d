"""Calls of CUDA's libraries: planned once, and then made from Python or from machine code with the addresses of a call's arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numfuse.compiler.types import Shape
from numfuse.runtime.cpu.entry import Launch
from numfuse.runtime.cpu.launch import address_of
from numfuse.runtime.cuda.compile import NoCudaError


class Matrices(NamedTuple):
    """How an operand lies: its shape, its strides in elements, and whether it starts at a multiple of 16 bytes."""

    shape: Shape
    strides: Shape
    aligned: bool = True


@dataclass(frozen=True)
class Pointer:
    """An argument: so many bytes from the start of one of the call's arrays. `slot`: where it is put, for a function that wants to be told the place of the
    pointer; 0 for one that wants the pointer."""

    array: int
    start: int = 0
    slot: int = 0


@dataclass(frozen=True)
class LibraryCall:
    """A call of the function at an address, which returns a status. All arguments are passed in 64 bits. `kept`: what these point to."""

    name: str
    function: int
    arguments: tuple[int | Pointer, ...]
    kept: Any = None

    def run(self, addresses: Sequence[int]) -> None:
        """Makes the call. Raises RuntimeError where it fails."""
        given = []
        for argument in self.arguments:
            if isinstance(argument, Pointer):
                value = addresses[argument.array] + argument.start
                if argument.slot:
                    ctypes.c_uint64.from_address(argument.slot).value = value
                given.append(argument.slot or value)
            else:
                given.append(argument)
        _checked(self.name, ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int64] * len(given))(self.function)(*given))

    def launch(self, places: Sequence[tuple[int, int]]) -> Launch:
        """The call as part of a whole call (`runtime/cpu/entry.py`), in which the arrays are at these places."""
        pattern = "".join(
            ("s" if argument.slot else "p") if isinstance(argument, Pointer) else "w" for argument in self.arguments
        )
        pointers = [argument for argument in self.arguments if isinstance(argument, Pointer)]
        words = [argument.slot if isinstance(argument, Pointer) else argument for argument in self.arguments]
        table = np.array([self.function, *words], np.int64)
        at = [(places[pointer.array][0], places[pointer.array][1] + pointer.start) for pointer in pointers]
        code = address_of(f"numfuse_cuda_library_{pattern}", _call_ir, pattern)
        return Launch(code, table.ctypes.data, 0, at, (table, self))


class Library:
    """A library's functions. `find` gives the address of one by its name."""

    def __init__(self, find: Callable[[str], int]) -> None:
        self.find = find

    def planned(self, name: str, *arguments: int | Pointer, kept: Any = None) -> LibraryCall:
        return LibraryCall(name, self.find(name), arguments, kept)

    def call(self, name: str, *arguments: int) -> None:
        """Calls a function now. Raises RuntimeError where it fails."""
        self.planned(name, *arguments).run(())

    def made(self, name: str, *arguments: int) -> int:
        """Calls a function that gives a handle through its first parameter, and returns that."""
        handle = ctypes.c_void_p()
        self.call(name, ctypes.addressof(handle), *arguments)
        return handle.value or 0


def load(name: str, extra: str) -> Library:
    """The library of that name, from NVIDIA's packages or the system. Raises NoCudaError, which says what is missing."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        found = ctypes.CDLL(load_nvidia_dynamic_lib(name).abs_path)
    except Exception as error:
        raise NoCudaError(
            f"matrix products on the GPU need {name}: pip install 'numfuse[cuda,{extra}]' ({error})"
        ) from None
    return Library(lambda function: ctypes.cast(getattr(found, function), ctypes.c_void_p).value or 0)


def _checked(name: str, status: int) -> None:
    if status != 0:
        raise RuntimeError(f"{name} failed with status {status}")


def _call_ir(name: str, pattern: str) -> str:
    """LLVM IR of a function like `call_ir`'s that calls a library and returns its status. The words: the function, and its arguments. `pattern`: of each
    argument whether it is the word, the next address, or the word as a place where the next address is put."""
    lines = [
        f"define i64 @{name}(ptr %words, i64 %lo, i64 %hi, ptr %addresses) {{",
        "  %function = load ptr, ptr %words",
    ]
    passed, pointers = [], 0
    for k, kind in enumerate(pattern):
        if kind in "ws":
            lines.append(f"  %at{k} = getelementptr i64, ptr %words, i64 {k + 1}")
            lines.append(f"  %word{k} = load i64, ptr %at{k}")
        if kind in "ps":
            lines.append(f"  %from{k} = getelementptr i64, ptr %addresses, i64 {pointers}")
            lines.append(f"  %address{k} = load i64, ptr %from{k}")
            pointers += 1
        if kind == "s":
            lines.append(f"  %slot{k} = inttoptr i64 %word{k} to ptr")
            lines.append(f"  store i64 %address{k}, ptr %slot{k}")
        passed.append(f"i64 %{'address' if kind == 'p' else 'word'}{k}")
    lines += [f"  %status = call i32 %function({', '.join(passed)})", "  %stop = sext i32 %status to i64"]
    return "\n".join([*lines, "  ret i64 %stop", "}"])
