"""The kind of a call, as a key that is found again fast, and the arrays of other libraries as ones that kernels take.

The key of a call holds for each array its dtype, shape and strides, for each number its type, and every static value. It is made at each
call, so it takes the shortest way for common types; what it does not know is `Unfamiliar`, and goes the general way (`tree.flatten`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.draws import is_generator
from numfuse.compiler.tree import Instance
from numfuse.compiler.types import Spec
from numfuse.runtime.cuda.array import DeviceArray

ndarray = np.ndarray
STATIC = (bool, str, type(None))


class Unfamiliar(Exception):
    """An argument of a type that the fast way does not know."""


def share_memory(leaves: Sequence[Any]) -> bool:
    """Whether two arrays of a call may share memory."""
    arrays = [leaf for leaf in leaves if isinstance(leaf, np.ndarray)]
    return any(np.may_share_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])


def kind_of(value: Any, leaves: list[Any]) -> Any:
    """What a call's compiled code depends on in an argument; its arrays and numbers are appended to `leaves`, in the order of `tree.flatten`."""
    kind = type(value)
    if kind is ndarray:
        leaves.append(value)
        return value.dtype, value.shape, value.strides
    if kind is float or kind is int or kind is complex:
        leaves.append(value)
        return kind
    if kind in STATIC:
        return kind, value
    if kind is tuple or kind is list:
        return kind, *[kind_of(part, leaves) for part in value]
    if kind is dict:
        return dict, tuple(value), *[kind_of(part, leaves) for part in value.values()]
    if kind is DeviceArray:
        leaves.append(value)
        return value.layout
    if issubclass(kind, np.generic):
        leaves.append(value)
        return kind, value.dtype
    if kind is Instance:
        attributes = getattr(value.value, "__dict__", None)
        if attributes is not None:
            return type(value.value), tuple(attributes), *[kind_of(part, leaves) for part in attributes.values()]
    if is_generator(value):
        leaves.append(value)
        return kind
    if hasattr(kind, "__dlpack__") or hasattr(kind, "__cuda_array_interface__"):
        array = known_array(value)
        if type(array) is ndarray or type(array) is DeviceArray:
            return kind_of(array, leaves)
    raise Unfamiliar


def static_kind(value: Any) -> Any:
    """The same for a static argument: its value and type."""
    kind = type(value)
    if kind is int or kind in STATIC:
        return kind, value
    if kind is float:
        return kind, value.hex()  # 0.0 and -0.0 are two values
    if kind is tuple:
        return kind, *[static_kind(part) for part in value]
    raise Unfamiliar


def known_array(leaf: Any) -> Any:
    """Arrays of other libraries as ndarrays or device arrays, without a copy."""
    if isinstance(leaf, (ndarray, np.generic, int, float, complex, Array, DeviceArray, Spec)) or is_generator(leaf):
        return leaf
    on_device = hasattr(leaf, "__cuda_array_interface__")
    if not on_device and hasattr(leaf, "__dlpack_device__"):
        on_device = leaf.__dlpack_device__()[0] in (2, 13)  # CUDA, CUDA managed
    if on_device:
        from numfuse.runtime.cuda.gpu import gpu

        return DeviceArray.from_foreign(gpu(), leaf)
    return np.from_dlpack(leaf) if hasattr(leaf, "__dlpack__") else np.asarray(leaf)


def normal(leaf: Any) -> Any:
    """What kernels take: NumPy scalars as 0-d arrays; copies of arrays in a foreign byte order or with odd strides."""
    if type(leaf) is ndarray:
        if leaf.dtype.isnative and not any(stride % leaf.itemsize for stride in leaf.strides):
            return leaf
        return np.asarray(leaf.astype(leaf.dtype.newbyteorder("=")), order="C")
    return np.asarray(leaf) if isinstance(leaf, (np.generic, ndarray)) else leaf
