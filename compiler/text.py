"""The printed form of graphs, and reading it back.

    graph gelu(%x: f32[1000]) -> %2 {
      %1: f32[1000] = tanh(%x)  # gelu.py:5
      %2: f32[1000] = multiply(0.5:f32, %1)  # gelu.py:5
    }

0-d constants stand in place (`0.5:f32`), array constants as `constant(value=[1.0, 2.0])`; fused nodes hold a graph in
their `body`. Comments are the user's lines; they are not read back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import NO_PARAMS, Graph, Node, constant, is_scalar, make, results_of
from numfuse.compiler.types import DTYPE_NAMES, dtype_named, parse_spec, type_text


class GraphSyntaxError(ValueError):
    """Text that is not a graph; names the line."""


# -- printing ------------------------------------------------------------------------------------------------------------


def print_graph(graph: Graph, *, locations: bool = True, indent: str = "") -> str:
    names = names_of(graph)
    inputs = ", ".join(f"{names[node]}: {type_text(node.shape, node.dtype)}" for node in graph.inputs)
    outputs = [operand_text(node, names) for node in graph.outputs]
    result = outputs[0] if len(outputs) == 1 else f"({', '.join(outputs)})"
    lines = [f"graph {graph.name}({inputs}) -> {result} {{"]
    for node in graph.nodes:
        if not is_scalar(node):
            lines.append(f"{indent}  {node_text(node, names, locations=locations, indent=indent + '  ')}")
    return "\n".join([*lines, indent + "}"])


def names_of(graph: Graph) -> dict[Node, str]:
    """`%name` for each node: the user's name where there is one, else a running number."""
    names: dict[Node, str] = {}
    taken: set[str] = set()
    number = 0
    for node in (*graph.inputs, *graph.nodes):
        if is_scalar(node):
            continue
        if node.name and node.name.isidentifier():
            name, suffix = node.name, 1
            while name in taken:
                suffix += 1
                name = f"{node.name}_{suffix}"
        else:
            number += 1
            name = str(number)
        taken.add(name)
        names[node] = f"%{name}"
    return names


def node_text(node: Node, names: dict[Node, str], *, locations: bool = True, indent: str = "") -> str:
    operands = [operand_text(source, names) for source in node.inputs]
    params = [f"{key}={param_text(value, locations, indent)}" for key, value in sorted(node.params.items())]
    declared = names[node] if len(results_of(node)) > 1 else f"{names[node]}: {type_text(node.shape, node.dtype)}"
    where = f"  # {node.where}" if locations and node.where else ""
    return f"{declared} = {node.op}({', '.join(operands + params)}){where}"


def operand_text(node: Node, names: dict[Node, str]) -> str:
    if is_scalar(node):
        return f"{scalar_text(node.params['value'][()])}:{DTYPE_NAMES[node.dtype]}"
    return names[node]


def scalar_text(value: Any) -> str:
    """Digits that read back as the same number."""
    if isinstance(value, np.complexfloating):
        return f"({float(value.real)!r},{float(value.imag)!r})"
    if isinstance(value, (np.float16, np.float32)):
        return str(value) if np.isfinite(value) else repr(float(value))
    return repr(value.item())


def param_text(value: Any, locations: bool, indent: str) -> str:
    if isinstance(value, Graph):
        return print_graph(value, locations=locations, indent=indent)
    if isinstance(value, np.dtype):
        return DTYPE_NAMES[value]
    if isinstance(value, np.ndarray):
        return f"[{', '.join(scalar_text(element) for element in value.ravel())}]"
    if isinstance(value, tuple):
        inside = ", ".join(param_text(part, locations, indent) for part in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


# -- reading -------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*(?:
      (?P<ref>%\w+)
    | (?P<number>-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf\b|nan\b))
    | (?P<type>\w+\[[\d,\s]*\])
    | (?P<word>[A-Za-z_]\w*)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<sign>->|[(){}\[\],:=])
    | (?P<end>$))""",
    re.VERBOSE,
)


def parse_graph(text: str) -> Graph:
    reader = _Reader(text)
    graph = reader.graph()
    reader.expect("end", "")
    return graph


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fail(self, what: str) -> GraphSyntaxError:
        line = self.text.count("\n", 0, self.position) + 1
        shown = self.text.splitlines()[line - 1].strip() if self.text.strip() else ""
        return GraphSyntaxError(f"line {line}: {what}: {shown}")

    def peek(self) -> tuple[str, str]:
        match = _TOKEN.match(self.text, self.position)
        if not match or match.lastgroup is None:
            raise self.fail("not a graph")
        self._next = match.end()
        return match.lastgroup, match.group(match.lastgroup)

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position = self._next
        return token

    def expect(self, kind: str, text: str | None = None) -> str:
        got_kind, got = self.peek()
        if got_kind != kind or (text is not None and got != text):
            raise self.fail(f"expected {text or kind}, found {got or 'the end'}")
        return self.take()[1]

    def accept(self, sign: str) -> bool:
        if self.peek() != ("sign", sign):
            return False
        self.take()
        return True

    def graph(self) -> Graph:
        if self.take() != ("word", "graph"):
            raise self.fail("expected 'graph NAME(...)'")
        name = self.expect("word")
        known: dict[str, Node] = {}
        inputs = []
        self.expect("sign", "(")
        while not self.accept(")"):
            ref = self.expect("ref")
            self.expect("sign", ":")
            shape_dtype = parse_spec(self.expect("type"))
            node = Node("input", (), NO_PARAMS, shape_dtype.shape, shape_dtype.dtype, name=user_name(ref))
            known[ref] = node
            inputs.append(node)
            self.accept(",")
        self.expect("sign", "->")
        results = self.peek_results()
        self.expect("sign", "{")
        nodes: list[Node] = []
        while not self.accept("}"):
            self.node(known, nodes)
        end, self.position = self.position, results
        outputs = self.operands(known, nodes)
        self.position = end
        return Graph(name, inputs, nodes, outputs)

    def peek_results(self) -> int:
        """Skips the outputs, which name nodes not read yet; they are read again once the nodes are known."""
        start = self.position
        while self.peek() != ("sign", "{"):
            self.take()
        return start

    def operands(self, known: dict[str, Node], nodes: list[Node]) -> list[Node]:
        if not self.accept("("):
            return [self.operand(known, nodes)]
        operands = []
        while not self.accept(")"):
            operands.append(self.operand(known, nodes))
            self.accept(",")
        return operands

    def operand(self, known: dict[str, Node], nodes: list[Node]) -> Node:
        kind, text = self.peek()
        if kind == "ref":
            self.take()
            if text not in known:
                raise self.fail(f"{text} is used before it is made")
            return known[text]
        value = self.value()
        self.expect("sign", ":")
        dtype = self.dtype(self.expect("word"))
        if dtype.kind == "c" and isinstance(value, tuple):
            value = complex(*value)
        node = constant(np.array(value, dtype))
        nodes.append(node)
        return node

    def node(self, known: dict[str, Node], nodes: list[Node]) -> None:
        ref = self.expect("ref")
        declared = parse_spec(self.expect("type")) if self.accept(":") else None
        self.expect("sign", "=")
        op = self.expect("word")
        self.expect("sign", "(")
        inputs, params = [], {}
        while not self.accept(")"):
            kind, text = self.peek()
            following = _TOKEN.match(self.text, self._next)
            if kind == "word" and following and following.group("sign") == "=":
                self.take()
                self.take()
                params[text] = self.value()
            else:
                inputs.append(self.operand(known, nodes))
            self.accept(",")
        if declared and op == "constant":
            params["value"] = array_of(params["value"], declared.dtype).reshape(declared.shape)
        try:
            node = make(op, inputs, name=user_name(ref), **params)
        except KeyError:
            raise self.fail(f"unknown operator {op!r}, or a param is missing") from None
        except (ValueError, TypeError) as error:
            raise self.fail(str(error)) from error
        if declared and node.spec != declared:
            raise self.fail(f"{ref} is declared as {declared}, but is {node.spec}")
        known[ref] = node
        nodes.append(node)

    def dtype(self, name: str) -> np.dtype:
        try:
            return dtype_named(name)
        except KeyError:
            raise self.fail(f"unknown word {name!r}") from None

    def value(self) -> Any:
        kind, text = self.peek()
        if (kind, text) == ("word", "graph"):
            return self.graph()
        self.take()
        if kind == "number":
            return float(text) if re.search(r"[.einf]|nan", text) else int(text)
        if kind == "word":
            words = {"True": True, "False": False, "None": None, "inf": float("inf"), "nan": float("nan")}
            return words[text] if text in words else self.dtype(text)
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if text in ("(", "["):
            close = ")" if text == "(" else "]"
            parts = []
            while not self.accept(close):
                parts.append(self.value())
                self.accept(",")
            return tuple(parts) if text == "(" else parts
        raise self.fail(f"unexpected {text!r}")


def user_name(ref: str) -> str | None:
    name = ref[1:]
    return None if name.isdigit() else name


def array_of(values: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "c":
        values = [complex(*value) for value in values]
    return np.array(values, dtype)
