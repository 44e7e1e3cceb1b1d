"""Drawn programs by graph evaluation and as plain Python, against NumPy; and what the fuzzer has found before."""

from __future__ import annotations

import pytest

from tests.fuzz.backends import check
from tests.fuzz.campaign import run
from tests.fuzz.found import FOUND


def test_drawn_programs(products_by_kernels: None) -> None:
    campaign = run(300, ("graph", "python"), seed=1)
    assert not campaign.findings, "\n\n".join(f"# {wrong}\n{script}" for wrong, script in campaign.findings)
    assert campaign.checked > 270 and campaign.raising > 3
    assert campaign.drawn - campaign.checked - campaign.unsupported.total() <= campaign.drawn // 10


@pytest.mark.parametrize("line", FOUND)
def test_what_was_found(line: str) -> None:
    assert not check(FOUND[line], ("graph", "python"))
