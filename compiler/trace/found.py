"""What a function reaches by name: its globals, its closure and defaults, the functions it calls, and what lies in objects among these."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from numfuse.compiler.trace.errors import is_library

MOST = 4000
"""Objects that are looked at, at most."""
LONGEST = 100
"""Elements of a list or dict that is looked through, at most."""


class Place:
    """Where a value stands: an item of a dict or list, or an attribute. It can be replaced there."""

    def __init__(self, holder: Any, name: Hashable, attribute: bool = False) -> None:
        self.holder = holder
        self.name = name
        self.attribute = attribute
        self.key = (id(holder), name)

    def get(self) -> Any:
        return getattr(self.holder, str(self.name)) if self.attribute else self.holder[self.name]

    def set(self, value: Any) -> None:
        if self.attribute:
            setattr(self.holder, str(self.name), value)
        else:
            self.holder[self.name] = value


def places(roots: Iterable[Any], wanted: Callable[[Any], bool]) -> Iterator[tuple[Place, Any]]:
    """The places of all `wanted` values that can be reached from the roots, each once."""
    pending, given = list(roots), {}
    seen: dict[int, Any] = {}  # what was seen is kept, so that its id stays its own
    while pending and len(seen) < MOST:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        for place, part in _parts(value):
            if not wanted(part):
                pending.append(part)
            elif place.key not in given:
                given[place.key] = place
                yield place, part


def _parts(value: Any) -> Iterator[tuple[Place, Any]]:
    """What `value` leads to, and where each stands. What cannot be replaced there has a place of no consequence."""
    kind = type(value)
    if kind is FunctionType:
        yield from _of_function(value)
    elif issubclass(kind, dict):
        if len(value) <= LONGEST:
            yield from [(Place(value, name), part) for name, part in value.items()]
    elif issubclass(kind, (list, tuple)):
        if len(value) <= LONGEST:
            holder = value if issubclass(kind, list) else list(value)
            yield from [(Place(holder, number), part) for number, part in enumerate(value)]
    elif kind in (MethodType, functools.partial, staticmethod, classmethod):
        held = (
            (value.func, *value.args, *value.keywords.values())
            if kind is functools.partial
            else (value.__func__, getattr(value, "__self__", None))
        )
        yield from [(Place([part], 0), part) for part in held]
    elif issubclass(kind, type):
        if of_user(value.__module__):
            yield from [(Place(value, name, attribute=True), part) for name, part in list(vars(value).items())]
    elif kind is not ModuleType:
        attributes = _attributes(value)
        wrapped = attributes.get("__wrapped__")
        yield Place([wrapped], 0), wrapped
        if of_user(kind.__module__):
            yield Place([kind], 0), kind
            yield from [(Place(attributes, name), part) for name, part in list(attributes.items())]
            for name in [name for base in kind.__mro__ for name in _slots(base)]:
                if hasattr(value, name):
                    yield Place(value, name, attribute=True), getattr(value, name)


def _slots(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    return [name for name in ((slots,) if isinstance(slots, str) else slots) if not name.startswith("__")]


def _attributes(value: Any) -> dict[str, Any]:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return attributes if isinstance(attributes, dict) else {}


@functools.cache
def of_user(module: str) -> bool:
    """Whether a module is looked into: not the standard library, and nothing that is installed beside numfuse."""
    name = module.partition(".")[0]
    path = getattr(sys.modules.get(module), "__file__", None) or ""
    return (
        not (is_library(module) or name in sys.stdlib_module_names or name in ("builtins", ""))
        and "site-packages" not in path
    )


def _of_function(function: FunctionType) -> Iterator[tuple[Place, Any]]:
    if not of_user(function.__module__ or ""):
        return
    names = _names(function.__code__)
    yield from _named(function.__globals__, names)
    for cell in function.__closure__ or ():
        try:
            yield Place(cell, "cell_contents", attribute=True), cell.cell_contents
        except ValueError:  # a name that is bound later
            continue
    for part in function.__defaults__ or ():
        yield Place([part], 0), part
    yield from [(Place(function.__kwdefaults__, name), part) for name, part in (function.__kwdefaults__ or {}).items()]
    if wrapped := getattr(function, "__wrapped__", None):
        yield Place([wrapped], 0), wrapped


def _named(namespace: dict[str, Any], names: frozenset[str]) -> Iterator[tuple[Place, Any]]:
    for name in names & namespace.keys():
        value = namespace[name]
        yield Place(namespace, name), value
        if type(value) is ModuleType and of_user(value.__name__):
            yield from [(Place(vars(value), inner), vars(value)[inner]) for inner in names & vars(value).keys()]


@functools.cache
def _names(code: CodeType) -> frozenset[str]:
    """The names that the code uses, and the functions written within it."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(code.co_names).union(*inner)
