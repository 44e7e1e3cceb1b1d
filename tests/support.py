"""The support table, docs/support.md: each public name of NumPy, and what it becomes in a jitted function. Written by `python -m tests.support`.

The calls are those of the walk in tests/no_device/test_namespace.py; what the table says is what their programs hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numfuse.compiler.lower.program import KernelStep, LibraryStep, ViewStep
from numfuse.compiler.trace.errors import TraceError
from numfuse.compiler.types import UnsupportedDtype

import numfuse as nf
from tests.no_device.test_namespace import OUT_OF_SCOPE, calls_of, function_of, public, values

PAGE = Path(__file__).parents[1] / "docs" / "support.md"
HEAD = """# What is supported

Every public function of `np`, `np.linalg`, `np.fft` and every method of `ndarray`, as `python -m tests.support` found it with NumPy {version}.

* **fused**: kernels, together with what stands around it.
* **library**: a call of NumPy between kernels (on a GPU through a copy in host memory; matrix products are cuBLAS's there).
* **view**: no work at all, or none but in what reads it.
* **tracing**: plain Python or NumPy while the function is traced; its result is a constant of the graph.
* **refused**: a `TraceError` with the reason and the line. `jit(..., fallback=True)` and `numfuse.numpy` run it with NumPy on the host.

A test calls each with several sets of arguments and other values than it was traced with, and asserts that it is right or refused.

| function | is | through |
|---|---|---|
"""


def found(call: str) -> tuple[str, str]:
    """What a call becomes, and by which library calls or for which reason."""
    function = function_of(call)
    arguments = [values(1)[name] for name in inspect.signature(function).parameters]
    try:
        traced = nf.jit(function).trace(*arguments)
        program = traced.lower(target="cpu").program
    except (TraceError, UnsupportedDtype) as error:
        return "refused", str(error).partition("\n")[0].partition(" while the function is traced")[0]
    library = {step.node.op for step in program.steps if isinstance(step, LibraryStep)}
    if library:
        return "library", ", ".join(f"`{op}`" for op in sorted(library))
    if any(isinstance(step, KernelStep) for step in program.steps):
        return "fused", ""
    moves = any(isinstance(step, ViewStep) for step in program.steps) or any(
        output.leaf is not None for output in traced.outputs
    )
    return ("view" if moves else "tracing"), ""


def verdict(name: str) -> tuple[str, str]:
    calls = sorted(
        calls_of(name), key=lambda call: "@" in call
    )  # where arguments are computed, it is not the function alone
    outcomes = [found(call) for call in calls]
    alone = [one for one, call in zip(outcomes, calls, strict=True) if "@" not in call and one[0] != "refused"]
    for kind in ("fused", "library", "view", "tracing"):
        same = [through for outcome, through in alone or outcomes if outcome == kind]
        if same:
            refused = sum(outcome == "refused" for outcome, _ in outcomes)
            return kind, "; ".join(
                [
                    *dict.fromkeys(filter(None, same)),
                    *([f"{refused} of {len(outcomes)} calls refused"] if refused else []),
                ]
            )
    return outcomes[0] if outcomes else ("refused", "no call of it makes sense in a jitted function")


def rows() -> Iterator[str]:
    names = {name: verdict(name) for name in sorted(public())}
    for reason, skipped in OUT_OF_SCOPE.items():
        names |= {f"np.{name}": ("out of scope", reason) for name in skipped.split() if hasattr(np, name)}
    for name, (kind, through) in sorted(names.items()):
        yield f"| `{name}` | {kind} | {through.replace('|', chr(92) + '|')} |"


def page() -> str:
    table = list(rows())
    counts: dict[str, int] = {}
    for row in table:
        kind = row.split(" | ")[1]
        counts[kind] = counts.get(kind, 0) + 1
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: -item[1]))
    return HEAD.format(version=np.__version__) + "\n".join(table) + f"\n\n{len(table)} names: {told}.\n"


def main() -> Any:
    PAGE.write_text(page())
    print(f"wrote {PAGE.name}: {PAGE.read_text().splitlines()[-1]}")


if __name__ == "__main__":
    main()
