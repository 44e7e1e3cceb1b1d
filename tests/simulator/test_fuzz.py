"""Drawn programs in the simulator, against NumPy; and what the fuzzer has found before."""

from __future__ import annotations

import pytest

from tests.fuzz.backends import Unsupported, check
from tests.fuzz.campaign import run
from tests.fuzz.found import FOUND

pytestmark = pytest.mark.simulator


def test_drawn_programs() -> None:
    campaign = run(30, ("cudasim",), seed=3, most=8, long=False)
    assert not campaign.findings, "\n\n".join(f"# {wrong}\n{script}" for wrong, script in campaign.findings)


@pytest.mark.parametrize("line", FOUND)
def test_what_was_found(line: str) -> None:
    try:
        assert not check(FOUND[line], ("cudasim",))
    except Unsupported:
        pytest.skip("refused on CUDA")
