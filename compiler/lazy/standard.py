"""What the Python array API standard asks of an array (its namespace, its device, exchange by DLPack), and what it has that NumPy has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.lazy.host import as_given
from numfuse.compiler.trace.array import Array
from numfuse.runtime.cuda.array import DeviceArray
from numfuse.runtime.devices import default_target


def namespace(array: Array) -> Callable[..., Any]:
    def __array_namespace__(*, api_version: str | None = None) -> Any:
        from numfuse.compiler.lazy.face import namespace_for

        return namespace_for(api_version)

    return __array_namespace__


def to_device(array: Array) -> Callable[..., Any]:
    def to_device(device: str, /, *, stream: Any = None) -> Array:
        from numfuse.compiler.lazy.recorder import recorder_of
        from numfuse.compiler.trace.array import fresh

        recorder = recorder_of(device)
        if stream is not None:
            raise ValueError("to_device: a stream is not supported; pass stream=None")
        if recorder is array.recorder:
            return array
        (data,) = array.recorder.lazy.data([array])
        return fresh(recorder, recorder.given(data if isinstance(data, np.ndarray) else data.numpy()), array.scalar)

    return to_device


def numpy(array: Array) -> Callable[..., Any]:
    def numpy() -> Any:
        """The values as an ndarray, which is not to be written to (`np.array(x)` is a copy that can be)."""
        (data,) = array.recorder.lazy.data([array])
        view = np.asarray(as_given(array, data)).view()
        view.flags.writeable = False
        return view

    return numpy


def dlpack(array: Array) -> Callable[..., Any]:
    def __dlpack__(
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        (data,) = array.recorder.lazy.data([array])
        if isinstance(data, DeviceArray):
            if dl_device is None or dl_device[0] != 1:
                if copy:
                    data = data.copy()
                return data.__dlpack__(stream=stream)
            if copy is False:
                raise ValueError("an array in device memory cannot be had in host memory without a copy")
            data, copy = data.numpy(), False
        elif stream is not None:
            raise ValueError("stream must be None for an array in host memory")
        if dl_device is not None and tuple(dl_device) != (1, 0):
            raise BufferError(f"an array in host memory cannot be exported to the DLPack device {dl_device}")
        knows_read_only = max_version is not None and max_version[0] >= 1 and hasattr(np, "matvec")  # NumPy 2.2
        if copy or (copy is None and not knows_read_only):
            made = np.array(data)
            return made.__dlpack__(max_version=max_version) if knows_read_only else made.__dlpack__()
        if not knows_read_only:
            raise BufferError("the consumer takes no array that is not to be written to; pass copy=True")
        view = np.asarray(data).view()
        view.flags.writeable = False
        return view.__dlpack__(max_version=max_version)

    return __dlpack__


def dlpack_device(array: Array) -> Callable[..., tuple[int, int]]:
    def __dlpack_device__() -> tuple[int, int]:
        (data,) = array.recorder.lazy.data([array])
        return data.__dlpack_device__() if isinstance(data, DeviceArray) else (1, 0)

    return __dlpack_device__


ATTRIBUTES: dict[str, Callable[[Array], Any]] = {
    "__array_namespace__": namespace,
    "__dlpack__": dlpack,
    "__dlpack_device__": dlpack_device,
    "device": lambda array: array.recorder.lazy.device,
    "to_device": to_device,
    "numpy": numpy,
}


# -- functions that take more in the standard than in NumPy ---------------------------------------------------------------


def clip(x: Any, /, min: Any = None, max: Any = None, *args: Any, **kwargs: Any) -> Any:
    return np.clip(x, kwargs.pop("a_min", min), kwargs.pop("a_max", max), *args, **kwargs)


def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, descending: bool = False, stable: bool | None = None
) -> Any:
    made = np.sort(a, axis, kind, order, stable=stable)
    return np.flip(made, 0 if axis is None else axis) if descending else made


def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, descending: bool = False, stable: bool | None = None
) -> Any:
    if not descending:
        return np.argsort(a, axis, kind, order, stable=stable)
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    backwards = np.argsort(np.flip(a, axis), axis, kind, order, stable=stable)
    return np.shape(a)[axis] - 1 - np.flip(backwards, axis)


class Info:
    """What `__array_namespace_info__` of numfuse.numpy tells: as NumPy's, but with the devices of this machine."""

    def __init__(self) -> None:
        self._numpys = np.__array_namespace_info__()

    def capabilities(self) -> dict[str, Any]:
        return self._numpys.capabilities()  # type: ignore[return-value]

    def default_device(self) -> str:
        return default_target()

    def devices(self) -> list[str]:
        return ["cpu"] if default_target() in ("cpu", "cudasim") else ["cpu", "cuda"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        self._check(device)
        return self._numpys.default_dtypes()  # type: ignore[return-value]

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, Any]:
        self._check(device)
        return self._numpys.dtypes(kind=kind)

    def _check(self, device: str | None) -> None:
        if device is not None and device not in self.devices():
            raise ValueError(f"unknown device {device!r}; the devices are {', '.join(self.devices())}")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "clip": clip,
    "sort": sort,
    "argsort": argsort,
    "__array_namespace_info__": Info,
}
