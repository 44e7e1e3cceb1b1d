"""The node of a lazy graph."""

from __future__ import annotations

from typing import Any

from numfuse.compiler.graph import Node


class LazyNode(Node):
    """A node that may have a value. Once it has one, it forgets what it was computed from.

    `depth`: how many operations in a row wait to be run before its value is known. `number`: nodes are numbered as they are made, so that no
    node comes before its operands. `holder`: the storage whose contents it is (a weak reference), if any.
    """

    __slots__ = ("depth", "holder", "number", "value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.value: Any = None
        self.depth = 0
        self.number = -1
        self.holder: Any = None

    def become(self, value: Any) -> None:
        self.value = value
        self.inputs = ()
        self.depth = 0

    @property
    def wanted(self) -> bool:
        """Whether an array holds it."""
        storage = self.holder() if self.holder is not None else None
        return storage is not None and storage.value is self
