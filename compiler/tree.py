"""Arguments and results as flat lists of leaves: nested lists, tuples, dicts, dataclasses, and the object of a method.

A leaf is an array, a number or a random generator. Everything else (None, bools, strings, types, functions, ...) is static: it is part of the tree's
shape, and a call with another value of it is traced anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.trace.array import Array
from numfuse.compiler.trace.draws import is_generator
from numfuse.compiler.types import Spec

LEAF_TYPES = (np.ndarray, np.generic, Array, Spec)


class Tree:
    """The shape of a nested value: compares and hashes by structure and by its static values."""

    __slots__ = ("children", "key", "kind", "static")

    def __init__(self, kind: str, static: Any = None, children: tuple[Tree, ...] = ()) -> None:
        self.kind = kind
        self.static = static
        self.children = children
        self.key: Hashable = (
            kind,
            _hashable(static) if kind != "leaf" else None,
            tuple([child.key for child in children]),
        )

    def statics(self) -> Iterator[Any]:
        """The values that stay Python's, and the types of objects."""
        if self.kind in ("static", "object"):
            yield self.static if self.kind == "static" else self.static[0]
        for child in self.children:
            yield from child.statics()

    @property
    def labels(self) -> Sequence[Hashable]:
        """What the children are found by: index, key or attribute."""
        return range(len(self.children)) if self.kind in ("list", "tuple") else self.static[1]

    @property
    def leaves(self) -> int:
        """How many leaves there are."""
        return 1 if self.kind == "leaf" else sum(child.leaves for child in self.children)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


LEAF = Tree("leaf")


@dataclasses.dataclass(frozen=True)
class Instance:
    """The object that a method belongs to: its attributes are arguments too."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Static:
    """An argument that stays a plain Python value."""

    value: Any


def is_leaf(value: Any) -> bool:
    if isinstance(value, LEAF_TYPES) or is_generator(value):
        return True
    if isinstance(value, (int, float, complex)):
        return not isinstance(value, bool)
    return any(hasattr(value, name) for name in ("__dlpack__", "__cuda_array_interface__", "__array_interface__"))


def flatten(value: Any, leaves: list[Any], names: list[str] | None = None, name: str = "") -> Tree:
    """Appends the leaves of `value` to `leaves` (and what to call them to `names`) and returns its tree."""

    def all_of(parts: Sequence[Any], labels: Sequence[Any]) -> tuple[Tree, ...]:
        return tuple(
            [
                flatten(part, leaves, names, f"{name}_{label}" if name else str(label))
                for part, label in zip(parts, labels, strict=True)
            ]
        )

    if isinstance(value, Static) and is_generator(value.value):
        value = value.value  # its numbers are drawn at each call all the same
    if isinstance(value, Static):
        return Tree("static", value.value)
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return Tree(kind, type(value), all_of(value, range(len(value))))
    if isinstance(value, dict):
        return Tree("dict", (type(value), tuple(value)), all_of(tuple(value.values()), tuple(value)))
    if is_leaf(value):
        leaves.append(value)
        if names is not None:
            names.append(name)
        return LEAF
    if isinstance(value, Instance) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        inside = value.value if isinstance(value, Instance) else value
        attributes = getattr(inside, "__dict__", None)
        if attributes is not None:
            return Tree(
                "object", (type(inside), tuple(attributes)), all_of(tuple(attributes.values()), tuple(attributes))
            )
        value = inside
    return Tree("static", value)


Path = tuple[Hashable, ...]
OnContainer = Callable[[Path, Any], None]


def unflatten(tree: Tree, leaves: Iterator[Any], on_container: OnContainer | None = None, path: Path = ()) -> Any:
    """The value of that shape, with leaves taken from `leaves`. Tells `on_container` of each list, dict and object it makes."""
    if tree.kind == "leaf":
        return next(leaves)
    if tree.kind == "static":
        return tree.static
    parts = [
        unflatten(child, leaves, on_container, (*path, label))
        for child, label in zip(tree.children, tree.labels, strict=True)
    ]
    if tree.kind == "tuple":
        return tree.static(*parts) if hasattr(tree.static, "_fields") else tree.static(parts)
    made: Any
    if tree.kind == "list":
        made = parts if tree.static is list else tree.static(parts)
    elif tree.kind == "dict":
        pairs = dict(zip(tree.labels, parts, strict=True))
        made = pairs if tree.static[0] is dict else tree.static[0](pairs)
    else:
        made = tree.static[0].__new__(tree.static[0])
        made.__dict__.update(zip(tree.labels, parts, strict=True))
    if on_container is not None:
        on_container(path, made)
    return made


def contents(container: Any) -> dict[Hashable, Any]:
    """What a list, dict or object holds, by index, key or attribute."""
    if isinstance(container, list):
        return dict(enumerate(container))
    return dict(container) if isinstance(container, dict) else dict(vars(container))


def set_contents(container: Any, keys: Sequence[Hashable], values: Sequence[Any]) -> None:
    if isinstance(container, list):
        container[:] = values
        return
    holder = container if isinstance(container, dict) else vars(container)
    holder.clear()
    holder.update(zip(keys, values, strict=True))


def follow(value: Any, path: Path) -> Any:
    """The container at `path` within `value`."""
    for label in path:
        parts: Any = value if isinstance(value, (list, tuple, dict)) else vars(value)
        value = parts[label]
        value = value.value if isinstance(value, Instance) else value
    return value


def _hashable(value: Any) -> Hashable:
    """`value` where it is hashable, else its identity; types that are equal to others (True and 1) are told apart."""
    if isinstance(value, tuple):
        return tuple([_hashable(part) for part in value])
    if isinstance(value, float):
        return type(value).__name__, value.hex()  # 0.0 and -0.0 are two values
    try:
        hash(value)
    except TypeError:
        return ("by identity", id(value))
    return (type(value).__name__, value)
