"""Runs NumPy's own tests on lazy arrays, and writes docs/numpy_tests.md: `python tests/numpy_suite/run.py [module ...]`.

Takes about twenty minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.numpy_suite.reasons import OUT_OF_SCOPE, reason_for  # noqa: E402

MODULES = (
    "numpy._core.tests.test_umath",
    "numpy._core.tests.test_numeric",
    "numpy._core.tests.test_indexing",
    "numpy._core.tests.test_multiarray",
    "numpy.lib.tests.test_function_base",
)


def run(module: str, folder: Path) -> list[dict[str, Any]]:
    """The outcome of each test of a module of NumPy's."""
    outcomes = folder / f"{module}.jsonl"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        f"--rootdir={folder}",
        "-p",
        "tests.numpy_suite.plugin",
        "--by-numpy",
    ]
    command += [f"--outcomes={outcomes}", "--timeout=60", "-p", "no:cacheprovider", "-q", "--tb=no", "--pyargs", module]
    subprocess.run(command, cwd=ROOT, check=False)
    return [json.loads(line) for line in outcomes.read_text().splitlines()]


def report(results: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "# NumPy's own tests on lazy arrays",
        "",
        f"The tests that are installed with NumPy {np.__version__}, with `numfuse.numpy` in place of NumPy (`python tests/numpy_suite/run.py`). "
        "What they record "
        "runs node by node with each operator's NumPy function, which is what a graph means; kernels are compared with that elsewhere. A test that fails "
        "stands below with its reason.",
        "",
        "| module | passed | failed, with a reason | skipped by NumPy |",
        "|---|--:|--:|--:|",
    ]
    for module, outcomes in results.items():
        count = Counter(one["outcome"] for one in outcomes)
        lines.append(f"| `{module}` | {count['passed']} | {count['failed']} | {count['skipped']} |")
    total = Counter(one["outcome"] for outcomes in results.values() for one in outcomes)
    lines += [f"| all | {total['passed']} | {total['failed']} | {total['skipped']} |", "", "## Not run", ""]
    lines += [f"* {reason}: `{pattern.replace('|', '`, `')}`" for reason, pattern in OUT_OF_SCOPE.items()]
    reasons: dict[str, Counter[str]] = {}
    for module, outcomes in results.items():
        for one in outcomes:
            if one["outcome"] == "failed":
                reason = reason_for(one["name"], one["error"]) or "NO REASON KNOWN"
                name = f"{module.rpartition('.')[2]}::{one['name'].partition('[')[0]}"
                reasons.setdefault(reason, Counter())[name] += 1
    lines += ["", "## Failed"]
    for reason, names in sorted(reasons.items(), key=lambda item: -item[1].total()):
        lines += ["", f"**{reason}** ({names.total()})", ""]
        lines += [f"* `{name}`" + (f" ({count} times)" if count > 1 else "") for name, count in sorted(names.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = {module: run(module, Path(folder)) for module in sys.argv[1:] or MODULES}
    (ROOT / "docs" / "numpy_tests.md").write_text(report(results))


if __name__ == "__main__":
    main()
