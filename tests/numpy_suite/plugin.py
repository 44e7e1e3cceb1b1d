"""A pytest plugin: NumPy's own tests run with `numfuse.numpy` in place of NumPy.

The modules are NumPy's, as they are installed; only the names in their globals that stand for NumPy, or for one of its functions, are
bound to numfuse's. Helpers such as `assert_equal` stay NumPy's, and look at the arrays through NumPy's protocols.
"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
from numfuse.compiler.lazy.face import Namespace

import numfuse.numpy as fnp


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


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for module in {item.module for item in items}:
        replace(module)


def pytest_addoption(parser: Any) -> None:
    parser.addoption(
        "--outcomes", help="a file that is told of each test: its name, its outcome, and the last line of its error"
    )


def pytest_configure(config: Any) -> None:
    if config.getoption("--outcomes"):
        config.pluginmanager.register(Outcomes(config.getoption("--outcomes")))


class Outcomes:
    """Writes a line of JSON for each test."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "w")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        error = "" if report.outcome == "passed" else _error_of(report)
        name = report.nodeid.partition("::")[2]
        outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
        print(json.dumps({"name": name, "outcome": outcome, "error": error}), file=self.file, flush=True)


def _error_of(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message.strip() if crash is not None else str(report.longrepr)
