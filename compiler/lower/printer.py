"""What the targets' printers share: walking a kernel's statements and writing each as a line of Python.

A printer makes a `Source`. It keeps short expressions that are used once inside the expression that uses them, and gives
everything else a name; each line that computes something ends with the user's line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numfuse.compiler.graph import Graph, Location
from numfuse.compiler.index import Index
from numfuse.compiler.kernel import Choose, Kernel, Loop, Scope, Statement, Store, Value
from numfuse.compiler.lower.cuts import Ranges, decided, outcome_of
from numfuse.compiler.lower.expressions import (
    RESERVED,
    Expressions,
    Names,
    Text,
    literal_of_bytes,
    scalar_type,
    to_tile,
)
from numfuse.compiler.types import NARROW, kind_of

INLINE = 64
"""Longer expressions get a name of their own."""


@dataclass(frozen=True)
class Parameter:
    """One argument of a kernel: a pointer to elements of `dtype` (or, where it is a `number`, that element itself), or a 64-bit integer."""

    name: str
    dtype: np.dtype | None
    output: bool = False
    number: bool = False


@dataclass
class Source:
    """The printed kernel. `code` is what is compiled; `text` has the graph and the user's lines in comments too."""

    name: str
    parameters: list[Parameter]
    header: Callable[[], list[str]]
    """The comments above it, made when somebody looks."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    imports: str = ""
    short_loops: str = ""
    """What becomes of them: "written out", and then the compiler looks for vectors in straight code too; "kept"; or what the compiler likes."""

    plain: Callable[[], Source] | None = None
    """Of a kernel that stores past the caches: prints it as one that does not."""

    def rename(self, name: str) -> None:
        """Calls the function `name`; the body does not mention it."""
        first, comment = self.lines[0]
        self.lines[0] = (first.replace(f"def {self.name}(", f"def {name}(", 1), comment)
        self.name = name

    @property
    def code(self) -> str:
        return "\n".join(line for line, _ in self.lines) + "\n"

    @property
    def nameless(self) -> str:
        """The code but for the function's name, which it does not mention."""
        return self.code.removeprefix(f"def {self.name}")

    @property
    def signature(self) -> str:
        """The parameters' types, which the code depends on but does not name."""
        return ",".join(f"{p.dtype}{' itself' if p.number else ''}" for p in self.parameters)

    @property
    def text(self) -> str:
        width = 4 + max((len(line) for line, comment in self.lines if comment and len(line) < 90), default=0)
        body = [f"{line + '  ':<{min(width, 94)}}# {comment}" if comment else line for line, comment in self.lines]
        return (
            "\n".join(
                [
                    *[f"# {line}".rstrip() for line in (f"kernel {self.name}", *self.header())],
                    self.imports,
                    "",
                    "",
                    *body,
                ]
            )
            + "\n"
        )


class Printer:
    """Walks a kernel. A target overrides how rows are opened, how loops run, and how elements are read and written."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.expressions = Expressions(kernel)
        self.names = Names(RESERVED)
        self.texts: dict[Value, Text] = {}
        self.depth = 0
        self.lines: list[tuple[str, str]] = []
        self.buffer_names = {buffer: self.names.new(buffer.name) for buffer in kernel.buffers}
        self.axis_names: dict[int, str] = {}
        self.where: Location | None = None
        self.ranges: Ranges = {}
        """The pieces of loops that are being printed, where these are cut."""

    # -- lines -------------------------------------------------------------------------------------------------------

    def line(self, text: str, where: Location | None = None) -> None:
        self.lines.append(("    " * self.depth + text, str(where) if where else ""))

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self.depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1

    def name_loops(self) -> None:
        """i, j, k, ... from the outermost loop to the innermost."""
        letters = iter("ijklmnpqrstuvw")
        loops = self.kernel.loops_over(self.kernel.rows)
        for loop in self.kernel.loops:
            loops += [axis for axis in self.kernel.loops_over(loop.axes) if axis not in loops]
        for axis in loops:
            if axis.number not in self.axis_names:
                name = self.names.new(next(letters, "index"))
                self.axis_names[axis.number] = name
                self.expressions.axis_text[axis.number] = Text(name)

    # -- statements --------------------------------------------------------------------------------------------------

    def statements(self, scope: Scope) -> None:
        for statement in scope.statements:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        if isinstance(statement, Value):
            self.value(statement)
        elif isinstance(statement, Store):
            self.store(statement)
        elif isinstance(statement, Loop):
            self.loop(statement)
        else:
            self.choose(statement)

    def value(self, value: Value) -> None:
        if value.kind == "apply":
            for place in self.expressions.repeats(value):
                self.bind(value.args[place])
        text = self.computed(value)
        where = value.node.where if value.node is not None else None
        if value.uses == 1 and not value.outer_uses and not value.keep and len(text.text) <= INLINE:
            self.texts[value] = text
            return
        name = self.names.new(value.hint, numbered=True)
        self.line(f"{name} = {text.text}", where)
        self.texts[value] = Text(name)
        if value.keep:
            self.keep(value, name)

    def bind(self, value: Value) -> None:
        """Gives an expression a name, where it has none yet."""
        text = self.text(value)
        if not text.text.isidentifier() and value.kind != "constant":
            name = self.names.new(value.hint, numbered=True)
            self.line(f"{name} = {text.text}", value.node.where if value.node else None)
            self.texts[value] = Text(name)

    def text(self, value: Value) -> Text:
        if value.kind == "constant" and value not in self.texts:
            return literal_of_bytes(value.dtype.type(value.constant).tobytes(), value.dtype)
        return self.texts[value]

    def computed(self, value: Value) -> Text:
        if value.kind == "load":
            assert value.buffer is not None and value.index is not None
            return self.load(value)
        if value.kind == "place":
            assert value.index is not None
            self.name_elements([value.index], value.args)
            place = self.expressions.index(value.index)
            return place if value.dtype == np.int64 else Text(f"{scalar_type(value.dtype)}({place.text})")
        if value.kind == "kept":
            assert value.source is not None
            return self.kept(value.source)
        return self.expressions.apply(value, [self.text(arg) for arg in value.args])

    def load(self, value: Value) -> Text:
        assert value.buffer is not None and value.index is not None
        self.name_elements([value.index], value.args)
        return self.from_memory(
            f"{self.buffer_names[value.buffer]}[{self.expressions.index(value.index).text}]", value.dtype
        )

    def store(self, store: Store) -> None:
        self.name_elements([store.offset], store.args)
        element = f"{self.buffer_names[store.buffer]}[{self.expressions.index(store.offset).text}]"
        self.line(f"{element} = {self.to_memory(self.text(store.value).text, store.buffer.dtype)}", store.where)

    @staticmethod
    def from_memory(element: str, dtype: np.dtype) -> Text:
        """An element as a value: bools are bytes in memory, and narrow floats are computed in float32."""
        if dtype.kind == "b":
            return Text(f"{element} != 0", 4)
        return Text(f"from_{NARROW[dtype]}({element})" if dtype in NARROW else element)

    @staticmethod
    def to_memory(text: str, dtype: np.dtype) -> str:
        if dtype.kind == "b":
            return to_tile(text, dtype)
        return f"to_{NARROW[dtype]}({text})" if dtype in NARROW else text

    def choose(self, choose: Choose) -> None:
        outcome = self.outcome(choose)
        if outcome is not None:
            self.settled(choose, outcome)
            return
        test = self.test(choose)
        where = choose.result.node.where if choose.result.node else None
        start = len(self.lines)
        yes, no = self.branch(choose.yes, choose.yes_value), self.branch(choose.no, choose.no_value)
        name = self.names.new(choose.result.hint, numbered=True)
        if len(self.lines) == start and len(yes.text) + len(no.text) + len(test) <= INLINE:
            self.line(f"{name} = {yes.at_least(2)} if {test} else {no.at_least(2)}", where)
        else:
            del self.lines[start:]
            self.branches(choose, name, "if")
        self.texts[choose.result] = Text(name)
        if choose.result.keep:
            self.keep(choose.result, name)

    def outcome(self, choose: Choose) -> bool | None:
        """Which branch is taken in the pieces of loops that are being printed, where that is known."""
        return outcome_of(self.kernel, choose, self.ranges)

    def settled(self, choose: Choose, outcome: bool) -> None:
        """A choice of which one branch is known to be taken."""
        scope, value = (choose.yes, choose.yes_value) if outcome else (choose.no, choose.no_value)
        text, result = self.branch(scope, value), choose.result
        once = result.uses == 1 and not result.outer_uses and not result.keep
        if not (text.text.isidentifier() or value.kind == "constant" or (once and len(text.text) <= INLINE)):
            name = self.names.new(result.hint, numbered=True)
            self.line(f"{name} = {text.text}", result.node.where if result.node else None)
            text = Text(name)
        self.texts[result] = text
        if result.keep:
            self.keep(result, text.text)

    def branches(self, choose: Choose, name: str, word: str) -> None:
        """The statement form: a chain of `if` and `elif` that ends in one assignment each."""
        where = choose.result.node.where if choose.result.node else None
        with self.block(f"{word} {self.test(choose)}:"):
            self.line(f"{name} = {self.branch(choose.yes, choose.yes_value).text}", where)
        rest = choose.no.statements
        (only,) = rest if len(rest) == 1 else (None,)
        if isinstance(only, Choose) and only.result is choose.no_value and self.outcome(only) is None:
            self.branches(only, name, "elif")
            return
        with self.block("else:"):
            self.line(f"{name} = {self.branch(choose.no, choose.no_value).text}", where)

    def name_elements(self, indices: Sequence[Index], values: Sequence[Value]) -> None:
        """Tells how the elements of arrays are called that the indices name."""
        elements = [element for index in indices for element in index.elements]
        self.expressions.element_text = {e: self.text(v) for e, v in zip(elements, values, strict=True)}

    def test(self, choose: Choose) -> str:
        self.name_elements([test.index for test in choose.tests], choose.args)
        open_ = [test for test in choose.tests if decided(self.kernel, test, self.ranges) is None]
        return " and ".join(text for text in map(self.expressions.test, open_) if text) or "True"

    def branch(self, scope: Scope, value: Value) -> Text:
        self.statements(scope)
        return self.text(value)

    # -- what targets decide -----------------------------------------------------------------------------------------

    def loop(self, loop: Loop) -> None:
        raise NotImplementedError

    def kept_values(self, loop: Loop) -> list[Value]:
        """The values that the loop makes and a later one wants."""
        made = [s if isinstance(s, Value) else s.result for s in loop.body.statements if isinstance(s, (Value, Choose))]
        return [value for value in made if value.keep]

    def keep(self, value: Value, name: str) -> None:
        """Puts a value in the row's memory, for the loops that follow."""
        raise NotImplementedError

    def kept(self, value: Value) -> Text:
        raise NotImplementedError


def combined(combine: str, dtype: np.dtype, total: str, value: Text) -> str:
    """One step of an accumulation. Float sums and products may be joined in any order, by `fold_*`."""
    if combine in ("add", "multiply"):
        if kind_of(dtype) == "f":
            return f"fold_{combine}({total}, {value.text})"
        sign = "+" if combine == "add" else "*"
        text = f"{total} {sign} {value.at_least(10 if sign == '+' else 11)}"
        return f"{dtype.name}({text})" if dtype.kind in "iu" and dtype.itemsize < 8 else text
    if combine in ("logical_or", "bitwise_or") or (combine in ("maximum", "fmax") and dtype.kind == "b"):
        return _infix(total, "|", value.at_least(6), dtype)
    if combine in ("logical_and", "bitwise_and") or (combine in ("minimum", "fmin") and dtype.kind == "b"):
        return _infix(total, "&", value.at_least(8), dtype)
    if combine == "bitwise_xor":
        return _infix(total, "^", value.at_least(7), dtype)
    return f"{combine}({total}, {value.text})"


def _infix(total: str, sign: str, value: str, dtype: np.dtype) -> str:
    text = f"{total} {sign} {value}"
    return f"{dtype.name}({text})" if dtype.kind in "iu" and dtype.itemsize < 8 else text


def header(body: Graph) -> Callable[[], list[str]]:
    """The graph that a kernel computes, as comments."""

    def made() -> list[str]:
        from numfuse.compiler.text import print_graph

        return print_graph(body).splitlines()

    return made


def buffer_parameters(printer: Printer) -> list[Parameter]:
    return [Parameter(printer.buffer_names[b], b.dtype, b.output) for b in printer.kernel.buffers]
