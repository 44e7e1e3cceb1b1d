"""Large results get memory that earlier ones had, and never memory that somebody can still see."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy._core.multiarray as multiarray
import pytest

import numfuse as nf

N = 2**20
X = np.arange(float(N))
double = nf.jit(lambda x: x * 2)
first = nf.jit(lambda x: (x * 3, x[: N // 2] - 1, x.sum()))


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_memory_of_a_dead_result_is_given_to_the_next() -> None:
    result = double(X)
    before = address(result)
    del result
    assert address(double(X)) == before


def test_memory_that_a_view_holds_is_not() -> None:
    result = double(X)
    view = result[5:10]
    del result
    others = [double(X + k) for k in range(3)]
    np.testing.assert_array_equal(view, 2 * X[5:10])
    assert len({address(other) for other in others}) == 3


def test_results_own_their_memory_and_can_be_resized() -> None:
    result = double(X)
    assert result.flags.owndata and result.base is None
    result.resize(2 * N, refcheck=False)
    np.testing.assert_array_equal(result[:N], 2 * X)
    assert not result[N:].any()
    result.resize(10, refcheck=False)
    del result
    np.testing.assert_array_equal(double(X), 2 * X)


def test_arrays_of_others_keep_numpys_allocator() -> None:
    double(X)
    assert multiarray.get_handler_name(np.empty(N)) == "default_allocator"
    assert multiarray.get_handler_name(double(X[:100])) == "default_allocator"
    assert multiarray.get_handler_name(double(X)) == "numfuse"


def test_many_sizes_and_threads() -> None:
    def call(k: int) -> bool:
        n = N - 1000 * (k % 23)
        kept = [double(X[:n]), double(X[: n // 2])]
        many = first(X)
        return (
            all((result == 2 * X[: len(result)]).all() for result in kept)
            and (many[0] == 3 * X).all()
            and (many[1] == X[: N // 2] - 1).all()
        )

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(call, range(100)))


HELD = """
import os, numpy as np, numfuse as nf
def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
double = nf.jit(lambda x: x * 2)
x = np.arange(2.0**20)
double(x)
before = megabytes()
results = [double(x[:2**20 - k]) for k in range(40)]
del results
print(round(megabytes() - before))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="this system does not tell of memory so")
@pytest.mark.parametrize(("kept", "most"), [("0", 20), ("32", 52), ("64.5", 85)])
def test_no_more_is_kept_than_the_limit(kept: str, most: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD], env={**os.environ, "NUMFUSE_KEEP": kept}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= most


def test_a_limit_that_is_no_number_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD], env={**os.environ, "NUMFUSE_KEEP": "much"}, capture_output=True, text=True
    )
    assert "ValueError: NUMFUSE_KEEP='much' is not a number of MiB" in done.stderr
