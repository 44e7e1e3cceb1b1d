"""Signatures: the kinds of call that a jitted function is compiled for, and how one differs from another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from numfuse.compiler.layouts import strides_of
from numfuse.compiler.leaves import Leaf
from numfuse.compiler.tree import Tree
from numfuse.compiler.types import type_text

Part = Leaf | Tree
"""An array, a number or a generator; or a static value, or an empty container."""


@dataclass(frozen=True)
class Signature:
    """What compiled code depends on in a call: the shape of its arguments with their static values, and the kind of each array and number."""

    tree: Tree
    kinds: tuple[Leaf, ...]
    labels: tuple[str, ...] = field(compare=False)
    """What the positional arguments are called."""

    def parts(self) -> dict[str, Part]:
        """What is in the arguments, by name."""
        positional, keywords = self.tree.children
        kinds = iter(self.kinds)
        labels = (*self.labels, *keywords.labels)
        trees = (*positional.children, *keywords.children)
        return {
            name: part
            for label, tree in zip(labels, trees, strict=True)
            for name, part in _parts(str(label), tree, kinds)
        }

    def as_text(self) -> str:
        """`x=f32[64,10], axis=1`"""
        return ", ".join(f"{name}={_text(part)}" for name, part in self.parts().items())

    def differences(self, other: Signature) -> list[str]:
        """How this signature differs from another one, a sentence each."""
        mine, theirs = self.parts(), other.parts()
        told = [f"there is {name}={_text(part)}" for name, part in mine.items() if name not in theirs]
        told += [f"there is no {name}" for name in theirs if name not in mine]
        for name, part in mine.items():
            if name in theirs and part != theirs[name]:
                told += _differences(name, part, theirs[name])
        return told or ["the arguments are nested in other containers, or given by name and not by position"]


def _parts(name: str, tree: Tree, kinds: Iterator[Leaf]) -> Iterator[tuple[str, Part]]:
    if tree.kind == "leaf":
        yield name, next(kinds)
    elif not tree.children:
        yield name, tree
    else:
        for label, child in zip(tree.labels, tree.children, strict=True):
            yield from _parts(f"{name}_{label}", child, kinds)


def _text(part: Part) -> str:
    if isinstance(part, Tree):
        return repr(part.static) if part.kind == "static" else f"an empty {part.kind}"
    kind = part.weak or part.generator
    if kind is not None:
        return kind.__name__
    text = type_text(part.spec.shape, part.spec.dtype)
    return text + (" scalar" if part.scalar else " on a device" if part.on_device else "")


def _differences(name: str, mine: Part, theirs: Part) -> list[str]:
    if isinstance(mine, Tree) or isinstance(theirs, Tree):
        same = _text(mine) == _text(theirs)
        return [f"{name} is another object, {_text(mine)}" if same else f"{name} is {_text(mine)}, not {_text(theirs)}"]
    if _sort(mine) != _sort(theirs):
        return [f"{name} is {_text(mine)}, not {_text(theirs)}"]
    told = []
    if mine.spec.dtype != theirs.spec.dtype:
        told.append(f"the dtype of {name} is {mine.spec.dtype}, not {theirs.spec.dtype}")
    if mine.spec.shape != theirs.spec.shape:
        told.append(f"the shape of {name} is {mine.spec.shape}, not {theirs.spec.shape}")
    elif mine.strides != theirs.strides:
        told.append(f"the strides of {name} are {_strides_text(mine)}, not {_strides_text(theirs)}")
    if mine.aligned != theirs.aligned:
        told.append(f"{name} {'starts' if mine.aligned else 'does not start'} at a multiple of 16 bytes")
    return told


def _sort(leaf: Leaf) -> tuple[object, ...]:
    return leaf.weak, leaf.generator, leaf.scalar, leaf.on_device


def _strides_text(leaf: Leaf) -> str:
    if leaf.strides is None:
        return "those of a copy, for its byte order or odd strides"
    return f"{leaf.strides} elements" + (" (C order)" if leaf.strides == strides_of(leaf.spec.shape) else "")


def why_new(signature: Signature, known: Sequence[Signature]) -> str:
    """Why a call is of none of the `known` signatures: how it differs from the most similar one."""
    if not known:
        return "the first one"
    differences = [signature.differences(other) for other in known]
    nearest = min(range(len(known)), key=lambda place: (len(differences[place]), -place))
    return f"unlike {nearest + 1}, {'; '.join(differences[nearest])}"


def history(name: str, known: Mapping[Signature, str]) -> str:
    """The signatures in the order in which they were compiled, each with why it is none of those before, and a remark."""
    lines = [f"{name}, {len(known)} signature{'' if len(known) == 1 else 's'}"]
    before: list[Signature] = []
    for signature, remark in known.items():
        lines.append(f"{len(before) + 1}. {signature.as_text()}: {why_new(signature, before)}{remark}")
        before.append(signature)
    return "\n".join(lines)
