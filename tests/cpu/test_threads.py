"""Kernels that threads share: from many callers at once, after a fork, while the process ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import numfuse as nf

START = """
import os, sys, threading
import numpy as np, numfuse as nf

@nf.jit
def step(x, y):
    return 2 * x[1:] - y[:-1]

x, y = np.arange(2.0**21).reshape(2, -1)
expected = 2 * x[1:] - y[:-1]
assert (step(x, y) == expected).all()
assert any(thread.name == "numfuse-1" for thread in threading.enumerate())
"""


def run(program: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + program],
        env={**os.environ, "NUMBA_NUM_THREADS": "3", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_many_callers_at_once() -> None:
    total = nf.jit(lambda x, k: np.sqrt(x) * k)
    x = np.arange(300_000.0)
    wrong: list[int] = []

    def call(k: int) -> None:
        for _ in range(100):
            if not (total(x, k) == np.sqrt(x) * k).all():
                wrong.append(k)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(1, 5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.parametrize("threads", ["2", "3", "8"])
def test_more_threads_than_processors(threads: str) -> None:
    run("for _ in range(300): assert (step(x, y) == expected).all()", NUMBA_NUM_THREADS=threads)


def test_between_long_pauses() -> None:
    run("import time\nfor _ in range(50):\n    time.sleep(0.001)\n    assert (step(x, y) == expected).all()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_forked_child_starts_threads_of_its_own() -> None:
    run("""
child = os.fork()
right = (step(x, y) == expected).all()
if child == 0:
    os._exit(0 if right and any(thread.name == "numfuse-1" for thread in threading.enumerate()) else 1)
assert os.waitpid(child, 0)[1] == 0 and right
""")


def test_the_process_ends_while_kernels_run() -> None:
    run("""
def for_ever():
    while True:
        step(x, y)
for _ in range(3):
    threading.Thread(target=for_ever, daemon=True).start()
for _ in range(20):
    step(x, y)
""")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not say where threads may run")
def test_threads_that_are_sent_to_another_processor_may_go_anywhere_afterwards() -> None:
    double = nf.jit(lambda x: np.exp(x) * 2, target="cpu", schedule=nf.Schedule(pieces=4))
    x = np.random.default_rng(0).random(200_000)
    for _ in range(20):
        np.testing.assert_allclose(double(x), np.exp(x) * 2, rtol=1e-14)
        time.sleep(0.005)  # they sleep, and are woken again
    time.sleep(0.01)
    helpers = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("numfuse-")]
    double(x)
    for helper in helpers:
        assert helper is not None
        deadline = time.monotonic() + 5
        while os.sched_getaffinity(helper) != os.sched_getaffinity(0) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.sched_getaffinity(helper) == os.sched_getaffinity(0)
