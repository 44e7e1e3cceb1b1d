"""The examples run, at small sizes, and agree with NumPy; what is wrong ends with an exit code and no traceback."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / command[0]), *command[1:]], capture_output=True, text=True, cwd=cwd
    )


@pytest.mark.parametrize(
    "command",
    [
        ("blackscholes.py", "--count", "20000"),
        ("blackscholes.py", "--count", "20000", "--dtype", "float64"),
        ("softmax_layernorm.py", "--rows", "33", "--columns", "1025"),
        ("nbody.py", "--count", "100", "--steps", "3"),
    ],
    ids=lambda command: " ".join(command[:1] + command[-1:]),
)
def test_examples(command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NumPy" in done.stdout and "kernels" in done.stdout and "WRONG" not in done.stdout and done.stderr == ""


def test_photo(tmp_path: Path) -> None:
    if not (importlib.util.find_spec("sklearn") and importlib.util.find_spec("PIL")):
        done = run("photo.py", cwd=tmp_path)
        assert done.returncode == 1 and "pip install 'numfuse[examples]'" in done.stderr
        return
    done = run("photo.py", "--explain", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "photo.png").read_bytes().startswith(b"\x89PNG")
    for part in (
        "graph as traced",
        "graph after the passes",
        "def develop(lo, hi, photo",
        "sm_90",
        "registers",
        "ratio",
    ):
        assert part in done.stdout


def test_mistakes(tmp_path: Path) -> None:
    done = run("blackscholes.py", "--count", "none")
    assert done.returncode == 2 and "'none' is not a number" in done.stderr
