"""The README: its Python runs as it stands, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from numfuse.cli import parser

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_python_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    scope: dict[str, object] = {}
    for number, block in enumerate(blocks):
        path = tmp_path / f"block_{number}.py"
        path.write_text(block)
        exec(compile(block, str(path), "exec"), scope)
    out = capsys.readouterr().out
    assert "def gelu(lo, hi, x, out):" in out and "program gelu for cuda sm_90" in out


def test_links_and_make_targets() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets


def test_commands_parse() -> None:
    for line in re.findall(r"^    numfuse (.*)$", README, re.MULTILINE):
        words = re.sub(r"\s*(#|\|).*", "", line).replace("'", "").split()
        parser().parse_args(words)
