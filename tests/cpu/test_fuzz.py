"""Drawn programs, compiled on the CPU, against NumPy; and what the fuzzer has found before."""

from __future__ import annotations

import pytest

from tests.fuzz.backends import check
from tests.fuzz.campaign import run
from tests.fuzz.found import FOUND


def test_drawn_programs() -> None:
    campaign = run(40, ("cpu",), seed=2)
    assert not campaign.findings, "\n\n".join(f"# {wrong}\n{script}" for wrong, script in campaign.findings)


@pytest.mark.parametrize("line", FOUND)
def test_what_was_found(line: str) -> None:
    assert not check(FOUND[line], ("cpu",))
