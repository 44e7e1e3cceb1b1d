"""A whole program by JAX or torch.compile as it stands, with their decorator in place of numfuse's: what came of it, as a line of JSON.

Each runs in a process of its own, whose end the time limit can be; NumPy has its turns in the same process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libraries
import measure
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.programs import PROGRAMS

ROUNDS = 5


def torch_compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return libraries.required("torch").compile(function, dynamic=False)  # type: ignore[no-any-return]


def jax_compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    jax = libraries.required("jax")
    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(function)
    return lambda *arguments: jax.block_until_ready(compiled(*arguments))


COMPILERS = {"jax": jax_compiled, "torch": torch_compiled}


def tried(library: str, name: str, limit: float) -> dict[str, Any]:
    """What the library makes of a program within `limit` seconds: `seconds`, `factor` (NumPy's time by its own) and `first_call`, or the `reason`
    why there are none."""
    command = [sys.executable, os.path.abspath(__file__), library, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"reason": f"none in {limit:.0f} s"}
    try:
        return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
    except (IndexError, ValueError):
        return {"reason": f"exit code {done.returncode}"}


def outcome(library: str, name: str) -> dict[str, Any]:
    from programs import check, seconds_of

    program = PROGRAMS[name]
    try:
        function = COMPILERS[library](program.function)
        first = check(program, function)
    except libraries.Missing as reason:
        return {"reason": str(reason)}
    except measure.Mismatch as error:
        return {"reason": f"wrong: {error}"}
    except Exception as error:
        return {"reason": f"refused: {type(error).__name__}"}
    arguments = program.arguments(program.full)
    ours, theirs = [], []
    deadline = time.monotonic() + 20
    while len(ours) < ROUNDS and time.monotonic() < deadline:
        theirs.append(min(seconds_of(program.function, arguments) for _ in range(2)))
        ours.append(min(seconds_of(function, arguments) for _ in range(2)))
    seconds = statistics.median(ours)
    return {"seconds": seconds, "factor": statistics.median(theirs) / seconds, "first_call": first}


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        print(json.dumps(outcome(*sys.argv[1:])))
