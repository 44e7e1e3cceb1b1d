"""A pytest plugin: NumPy's own tests run with `numfuse.numpy` in place of NumPy.

With `--by-numpy`, what lazy arrays record is run by each operator's NumPy function (which is what a graph means) and not as compiled kernels, which takes
hours: each test makes dozens of new graphs.

The modules are NumPy's, as they are installed; only the names in their globals that stand for NumPy, or for one of its functions, are
bound to numfuse's. Helpers such as `assert_equal` stay NumPy's, and look at the arrays through NumPy's protocols.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numfuse.compiler.lazy import evaluation
from numfuse.compiler.lazy.face import Namespace

import numfuse.numpy as fnp
from tests.numpy_suite.reasons import out_of_scope


def replace(module: ModuleType) -> None:
    """Binds numfuse's functions to the names under which `module` knows NumPy's."""
    if hasattr(module, "HAS_REFCOUNT"):
        module.HAS_REFCOUNT = False  # what NumPy's tests ask before they count references
    public = {id(getattr(np, name)): name for name in np.__all__ if callable(getattr(np, name))}
    for name, value in list(vars(module).items()):
        if value is np:
            setattr(module, name, fnp)
        elif isinstance(value, ModuleType) and value.__name__ in ("numpy._core.umath", "numpy._core.multiarray"):
            setattr(module, name, Namespace(value))
        elif id(value) in public and not isinstance(value, type):
            setattr(module, name, getattr(fnp, public[id(value)]))


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    left_out = [item for item in items if out_of_scope(item.nodeid)]
    items[:] = [item for item in items if not out_of_scope(item.nodeid)]
    config.hook.pytest_deselected(items=left_out)
    for module in {item.module for item in items}:
        replace(module)


def pytest_addoption(parser: Any) -> None:
    parser.addoption(
        "--outcomes", help="a file that is told of each test: its name, its outcome, and the last line of its error"
    )
    parser.addoption(
        "--by-numpy", action="store_true", help="run recorded graphs by NumPy, and not as compiled kernels"
    )


def pytest_configure(config: Any) -> None:
    if config.getoption("--by-numpy"):
        evaluation._compile = _by_numpy
    if config.getoption("--outcomes"):
        config.pluginmanager.register(Outcomes(config.getoption("--outcomes")))


def _by_numpy(device: str, pending: evaluation.Pending, varying: set[int]) -> tuple[Any, Any]:
    graph, _ = evaluation._graph(pending, varying)
    return (lambda arguments: [np.array(result) for result in graph.evaluate(*arguments)]), None


class Outcomes:
    """Writes a line of JSON for each test."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.path.write_text("")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        error = "" if report.outcome == "passed" else _error_of(report)
        name = report.nodeid.partition("::")[2]
        outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
        with self.path.open("a") as file:
            print(json.dumps({"name": name, "outcome": outcome, "error": error}), file=file)


def _error_of(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message.strip() if crash is not None else str(report.longrepr)
