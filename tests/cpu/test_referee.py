"""NumPy's own tests as referee: a part of them runs here (all of them: tests/numpy_suite/run.py), and what they found stays found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numfuse as nf
import numfuse.numpy as fnp
from tests.cpu.test_lazy import compare, plain
from tests.numpy_suite.reasons import reason_for

ROOT = Path(__file__).resolve().parents[2]
I = np.arange(6).reshape(2, 3)  # noqa: E741


@pytest.mark.slow
def test_numpys_own_tests_of_indexing(tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.jsonl"
    command = [
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        f"--rootdir={tmp_path}",
        "-p",
        "tests.numpy_suite.plugin",
        "-q",
        "--tb=no",
        "--by-numpy",
    ]
    command += ["-p", "no:cacheprovider", f"--outcomes={outcomes}", "--pyargs", "numpy._core.tests.test_indexing"]
    subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, check=False)
    told = [json.loads(line) for line in outcomes.read_text().splitlines()]
    assert len(told) > 50
    unexplained = [one for one in told if one["outcome"] == "failed" and reason_for(one["name"], one["error"]) is None]
    assert not unexplained


def out_of_round(np_: Any, i: Any) -> Any:
    out = np_.zeros((2, 3), int)
    np_.round(i, out=out)
    return out


VALUES: list[Callable[[Any, Any], Any]] = [
    out_of_round,
    lambda np_, i: np_.power(i, np_.array([1, 2, 0])),
    lambda np_, i: np_.isclose(i.astype("f4"), 2, atol=0, rtol=(1 - 2**-53) / 2),
    lambda np_, i: np_.isclose(i, np_.array([1, 2, 3.0000001])),
    lambda np_, i: np_.allclose(i, i),
    lambda np_, i: np_.ascontiguousarray(i[:, ::-2]).flags.c_contiguous,
    lambda np_, i: np_.ones((1,) * 40).shape,
    lambda np_, i: np_.zeros(3, "S2"),
    lambda np_, i: (i.strides, i.T.strides, i[:, ::-2].strides),
]


@pytest.mark.parametrize("function", VALUES)
def test_values(function: Callable[[Any, Any], Any]) -> None:
    expected = function(np, I)
    compare(plain(function(fnp, nf.asarray(I))), expected)


ERRORS: list[Callable[[Any, Any], Any]] = [
    lambda np_, i: np_.power(i, np_.array([1, -2, 0])),
    lambda np_, i: np_.rot90(i, axes=(1, 1)),
    lambda np_, i: np_.rot90(i, axes=(0, 2)),
    lambda np_, i: np_.rot90(i, axes=(0, 1, 0)),
    lambda np_, i: np_.diff(i, n=-1),
    lambda np_, i: np_.var(i, ddof=1, correction=1),
    lambda np_, i: np_.array(i, copy="always"),
    lambda np_, i: np_.dot(i, i.T, out=np_.zeros((3, 3), int)),
    lambda np_, i: np_.zeros((1, 3)).__imatmul__(np_.ones(3)),
    lambda np_, i: np_.array(3.0, copy=False),
    lambda np_, i: np_.zeros(3).__setitem__(0, [1]),
]


@pytest.mark.parametrize("function", ERRORS)
def test_errors(function: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(ValueError):
        function(np, I)
    with pytest.raises(ValueError):
        plain(function(fnp, nf.asarray(I)))


def test_jitted_powers_of_integers() -> None:
    power = nf.jit(lambda a, b: a**b)
    assert (power(I, I[:1]) == I ** I[:1]).all()
    with pytest.raises(ValueError, match="negative integer powers"):
        power(I, I[:1] - 1)


def test_masked_arrays_are_not_taken_for_plain_ones() -> None:
    masked = np.ma.array([1.0, 2.0, 4.0], mask=[False, True, False])
    made = fnp.add(nf.asarray(np.ones(3)), masked)
    assert type(made) is np.ma.MaskedArray and made.mask.tolist() == [False, True, False]
    with pytest.raises(nf.UnsupportedFunction, match="MaskedArray"):
        nf.jit(lambda x: x + masked)(np.ones(3))


def test_strides_of_a_traced_array_are_in_bytes() -> None:
    seen = []
    nf.jit(lambda x: seen.append(x.T.strides) or x)(I.astype("f4"))
    assert seen == [(4, 12)]


def test_what_needs_memory_of_its_own_is_refused() -> None:
    for method, args in (("resize", ((3, 2),)), ("setflags", (False,))):
        with pytest.raises(nf.UnsupportedFunction, match=method):
            getattr(nf.asarray(I), method)(*args)
