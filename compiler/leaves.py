"""The arguments of a call: its leaves, which are arrays, numbers and generators, and what they are called."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.layouts import strides_in, strides_of
from numfuse.compiler.lower.program import Layout
from numfuse.compiler.trace.draws import is_generator
from numfuse.compiler.tree import Tree, flatten
from numfuse.compiler.types import Spec, supported
from numfuse.runtime.cuda.array import DeviceArray


@dataclass(frozen=True)
class Leaf:
    """What tracing needs to know of an argument: a Python number's type, an array's spec and strides (in elements), or a random
    generator's type (its spec is the key's)."""

    spec: Spec
    weak: type | None = None
    strides: tuple[int, ...] | None = None
    scalar: bool = False
    aligned: bool = True
    on_device: bool = False
    generator: type | None = None

    @property
    def is_array(self) -> bool:
        """Whether it is an array in host memory."""
        return self.weak is None and self.generator is None and not self.on_device and not self.scalar

    def takes(self, given: Leaf) -> bool:
        """Whether what is compiled for this leaf runs with `given`. Arrays without strides here are copied, in C order."""
        same = (self.spec, self.weak, self.generator) == (given.spec, given.weak, given.generator)
        order = [
            [
                step
                for step, extent in zip(leaf.strides or strides_of(leaf.spec.shape), leaf.spec.shape, strict=True)
                if extent != 1
            ]
            for leaf in (self, given)
        ]
        return same and order[0] == order[1] and (given.aligned or not self.aligned or not given.on_device)


def leaf_of(value: Any, path: str) -> Leaf:
    """What tracing needs to know of a leaf; raises UnsupportedDtype, and TypeError for array subclasses."""
    if isinstance(value, Spec):  # an array in C order
        steps = zip(strides_of(value.shape), value.shape, strict=True)
        return Leaf(value, None, tuple([step if extent != 1 else 0 for step, extent in steps]))
    if isinstance(value, DeviceArray):
        aligned = value.address % 16 == 0
        return Leaf(
            Spec(value.shape, supported(value.dtype)), None, value.element_strides, aligned=aligned, on_device=True
        )
    if isinstance(value, np.generic):
        return Leaf(Spec((), supported(value.dtype)), scalar=True)
    if isinstance(value, np.ndarray):
        if type(value) not in (np.ndarray, np.memmap):
            raise TypeError(
                f"argument {path!r} is a {type(value).__name__}, which is not computed like an ndarray; pass np.asarray({path})"
            )
        layout = layout_of(value)
        supported(value.dtype)
        strides = None if layout is None else layout.strides
        return Leaf(Spec(value.shape, supported(value.dtype)), None, strides, aligned=layout is None or layout.aligned)
    if is_generator(value):
        return Leaf(Spec((), np.dtype("u8")), generator=type(value))
    kind = next(k for k in (int, float, complex) if isinstance(value, k))
    return Leaf(Spec((), np.dtype({int: "i8", float: "f8", complex: "c16"}[kind])), kind)


def layout_of(array: np.ndarray) -> Layout | None:
    """An ndarray's layout; None where it must be copied to be read by a kernel (foreign byte order, odd strides)."""
    strides = strides_in(array) if array.dtype.isnative else None
    return None if strides is None else Layout(strides, array.ctypes.data % 16 == 0)


def flatten_call(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any], names: list[str]
) -> Tree:
    """The tree and leaves of a call."""
    positional = [
        flatten(value, leaves, names, label) for value, label in zip(args, labels_of(signature, len(args)), strict=True)
    ]
    keywords = [flatten(value, leaves, names, name) for name, value in kwargs.items()]
    return Tree(
        "tuple", tuple, (Tree("tuple", tuple, tuple(positional)), Tree("dict", (dict, tuple(kwargs)), tuple(keywords)))
    )


def owners_of(tree: Tree, signature: inspect.Signature) -> list[str]:
    """For each leaf of a call, the name of the argument that it belongs to."""
    positional, keywords = tree.children
    labels = [*labels_of(signature, len(positional.children)), *keywords.static[1]]
    parts = (*positional.children, *keywords.children)
    return [label for label, part in zip(labels, parts, strict=True) for _ in range(part.leaves)]


def labels_of(signature: inspect.Signature, count: int) -> list[str]:
    """What to call `count` positional arguments."""
    parameters = signature.parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return [names[k] if k < len(names) else f"{rest}_{k - len(names)}" for k in range(count)]
