"""A drawn program: source text, as a NumPy function and its arguments, that can be run, cut down and printed."""

from __future__ import annotations

import itertools
import linecache
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.fuzz import data

NAMES = {"np": np, **{name: value for name, value in vars(data).items() if not name.startswith("_")}}
_numbers = itertools.count()


@dataclass(frozen=True)
class Statement:
    """Lines of source. `rounds`: the values of `target` may differ from NumPy's in the last digits."""

    text: str
    target: str = ""
    rounds: bool = False


@dataclass(frozen=True)
class Program:
    """`arguments`: (name, source of its value); `results`: the names that are returned."""

    arguments: tuple[tuple[str, str], ...]
    statements: tuple[Statement, ...]
    results: tuple[str, ...]
    wrong: bool = False
    """Whether the last statement is one that NumPy refused when it was drawn."""

    @property
    def source(self) -> str:
        """The function."""
        lines = [line for statement in self.statements for line in statement.text.splitlines()]
        results = [*self.results, *[f"layout({name})" for name in self.results]]
        result = f"{', '.join(results)}," if self.results else "None"
        body = "\n".join(f"    {line}" for line in [*lines, f"return {result}"])
        return f"def program({', '.join(name for name, _ in self.arguments)}):\n{body}\n"

    def function(self) -> Callable[..., Any]:
        """The function, its source known to tracebacks."""
        source, file = self.source, f"<fuzz {next(_numbers)}>"
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        scope: dict[str, Any] = {**NAMES, "__name__": "fuzzed"}
        exec(compile(source, file, "exec"), scope)
        return scope["program"]

    def values(self) -> list[Any]:
        """The arguments, made anew."""
        scope: dict[str, Any] = dict(NAMES)
        for name, source in self.arguments:
            scope[name] = eval(source, scope)
        return [scope[name] for name, _ in self.arguments]

    def reproducer(self) -> str:
        """A script that runs it with NumPy and with numfuse."""
        made = "\n".join(f"    {name} = {source}" for name, source in self.arguments)
        names = "".join(f"{name}, " for name, _ in self.arguments)
        return (
            "import numpy as np\nimport numfuse as nf\nfrom tests.fuzz.data import *\n\n\n"
            f"{self.source}\n\ndef arguments():\n{made or '    pass'}\n    return [{names}]\n\n\n"
            "print(program(*arguments()))\nprint(nf.jit(program)(*arguments()))\n"
        )

    def without(self, place: int) -> Program:
        return replace(self, statements=self.statements[:place] + self.statements[place + 1 :])


def names_in(text: str) -> set[str]:
    """The program's variables that a text mentions."""
    return set(re.findall(r"(?<![\w.'\"])[xv]\d+\b", text))


def cut_down(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A smaller program that still fails: with one result, and without statements and arguments that it does not need."""
    targets = [name for statement in program.statements for name in statement.target.split()]
    for name in (*program.results, *targets, program.arguments[0][0]):
        smaller = replace(program, results=(name,))
        if len(program.results) > 1 and fails(smaller):
            program = smaller
    changed = True
    while changed:
        changed = False
        for place in reversed(range(len(program.statements))):
            smaller = program.without(place)
            others = (
                (*smaller.results, *smaller.statements[-1].target.split()) if smaller.statements else smaller.results
            )
            for results in (smaller.results, others[-1:], (program.arguments[0][0],)):
                if fails(replace(smaller, results=results)):
                    program, changed = replace(smaller, results=results), True
                    break
    used = names_in(" ".join(statement.text for statement in program.statements)) | set(program.results)
    for name, source in reversed(program.arguments):
        if name in used:
            used |= names_in(source)
    smaller = replace(program, arguments=tuple((name, source) for name, source in program.arguments if name in used))
    return smaller if fails(smaller) else program
