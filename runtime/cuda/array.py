"""Arrays in the GPU's memory: what kernels return when they are given such arrays."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.layouts import reshaped_strides, strides_of
from numfuse.compiler.types import Shape, size_of, type_text
from numfuse.runtime.cpu.results import allocator


@dataclass(frozen=True, eq=False)
class DeviceLayout:
    """What compiled code depends on in a device array. There is one object for each, so that machine code compares pointers."""

    dtype: np.dtype
    shape: Shape
    strides: Shape
    """In elements."""
    aligned: bool
    """Whether it starts at a multiple of 16 bytes."""


@functools.cache
def layout_of(dtype: np.dtype, shape: Shape, strides: Shape | None, aligned: bool) -> DeviceLayout:
    """The layout. `strides`: None for C order."""
    if strides is None:
        return layout_of(dtype, shape, strides_of(shape), aligned)
    return DeviceLayout(dtype, shape, strides, aligned)


class DeviceArray:
    """An array in device memory. Offers DLPack and the CUDA array interface, so torch, CuPy, JAX and Numba take it without a copy.

    `owner` keeps the memory alive; strides are in elements. Machine code reads `layout` and `address`, which are never changed.
    """

    __slots__ = ("__weakref__", "address", "gpu", "layout", "owner")

    def __init__(
        self, gpu: Any, address: int, shape: Shape, dtype: np.dtype, strides: Shape | None = None, owner: Any = None
    ) -> None:
        self.gpu = gpu
        self.address = address
        self.layout = layout_of(
            np.dtype(dtype), tuple(shape), None if strides is None else tuple(strides), address % 16 == 0
        )
        self.owner = owner

    @classmethod
    def empty(cls, gpu: Any, shape: Shape, dtype: np.dtype) -> DeviceArray:
        buffer = gpu.allocate(size_of(shape) * dtype.itemsize)
        return cls(gpu, int(buffer.handle), shape, dtype, owner=buffer)

    @classmethod
    def from_host(cls, gpu: Any, array: np.ndarray) -> DeviceArray:
        """A copy of a NumPy array."""
        made = cls.empty(gpu, array.shape, array.dtype)
        if array.size:
            gpu.copy_in(made.address, np.ascontiguousarray(array))
        return made

    @classmethod
    def from_foreign(cls, gpu: Any, array: Any) -> DeviceArray:
        """The memory of another library's array, without a copy."""
        view = gpu.view(array)
        return cls(gpu, int(view.ptr), tuple(view.shape), np.dtype(view.dtype), view.strides, owner=(array, view))

    @property
    def shape(self) -> Shape:
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype:
        return self.layout.dtype

    @property
    def element_strides(self) -> Shape:
        return self.layout.strides

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return size_of(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        return (
            all(
                n == 1 or s == c
                for n, s, c in zip(self.shape, self.element_strides, strides_of(self.shape), strict=True)
            )
            or not self.size
        )

    def numpy(self, made: int | None = None) -> np.ndarray:
        """A copy in host memory. Waits for the kernels that make it: all that are queued, or where it is known, those before the event `made`."""
        if not self.contiguous:
            low = sum(min(0, s * (n - 1)) for n, s in zip(self.shape, self.element_strides, strict=True))
            high = sum(max(0, s * (n - 1)) for n, s in zip(self.shape, self.element_strides, strict=True))
            whole = DeviceArray(
                self.gpu, self.address + low * self.dtype.itemsize, (high - low + 1,), self.dtype, owner=self.owner
            ).numpy()
            strides = tuple(s * self.dtype.itemsize for s in self.element_strides)
            return np.ndarray(self.shape, self.dtype, whole, -low * self.dtype.itemsize, strides).copy()
        result = allocator(self.shape, self.dtype)()
        if result.size:
            self.gpu.copy_out(result, self.address, made)
        return result

    def copy(self) -> DeviceArray:
        """A C-contiguous copy."""
        if not self.contiguous:
            return DeviceArray.from_host(self.gpu, self.numpy())
        made = DeviceArray.empty(self.gpu, self.shape, self.dtype)
        if self.size:
            self.gpu.copy(made.address, self.address, self.nbytes)
        return made

    def view_through(self, op: str, params: Mapping[str, Any]) -> DeviceArray:
        """The same memory through a view operator; a reshape that would have to copy goes through the host."""
        strides = self.element_strides
        if op == "transpose":
            return self._as(tuple(self.shape[a] for a in params["perm"]), tuple(strides[a] for a in params["perm"]))
        if op == "slice":
            start = (
                sum(first * s for first, s in zip(params["start"], strides, strict=True))
                if 0 not in params["shape"]
                else 0
            )
            return self._as(
                params["shape"], tuple(s * by for s, by in zip(strides, params["step"], strict=True)), start
            )
        if op in ("real", "imag"):
            part = np.dtype(f"f{self.dtype.itemsize // 2}")
            address = self.address + (part.itemsize if op == "imag" else 0)
            return DeviceArray(self.gpu, address, self.shape, part, tuple(2 * s for s in strides), self.owner)
        if op == "windows":
            shape = list(self.shape)
            for axis, size in zip(params["axis"], params["size"], strict=True):
                shape[axis] -= size - 1
            return self._as((*shape, *params["size"]), (*strides, *[strides[axis] for axis in params["axis"]]))
        if op == "broadcast_to":
            added = len(params["shape"]) - self.ndim
            kept = tuple(0 if n == 1 else s for n, s in zip(self.shape, strides, strict=True))
            return self._as(params["shape"], (0,) * added + kept)
        reshaped = reshaped_strides(strides, self.shape, params["shape"])
        if reshaped is None:
            return DeviceArray.from_host(self.gpu, self.numpy().reshape(params["shape"]))
        return self._as(params["shape"], reshaped)

    def _as(self, shape: Shape, strides: Shape, offset: int = 0) -> DeviceArray:
        return DeviceArray(
            self.gpu, self.address + offset * self.dtype.itemsize, shape, self.dtype, strides, self.owner
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an array in device memory cannot be had as a NumPy array without a copy")
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        strides = None if self.contiguous else tuple(s * self.dtype.itemsize for s in self.element_strides)
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": strides,
            "version": 3,
            "stream": 1,
        }

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._strided_view().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._strided_view().__dlpack_device__()

    def _strided_view(self) -> Any:
        from cuda.core import Buffer
        from cuda.core.utils import StridedMemoryView

        buffer = Buffer.from_handle(self.address, max(self.nbytes, 1), owner=self)
        return StridedMemoryView.from_buffer(buffer, self.shape, self.element_strides, dtype=self.dtype)

    def __repr__(self) -> str:
        return f"<device array {type_text(self.shape, self.dtype)}>"
