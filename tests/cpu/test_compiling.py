"""Kernels of one function are compiled side by side: by several callers, with errors, with interruptions, and beside other users of Numba."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numfuse.runtime.cpu import backend
from numfuse.runtime.cpu import compile as native
from numfuse.runtime.cpu.sheltered import sheltered

import numfuse as nf

Array = Any


def several(number: float) -> Callable[[Array], list[Array]]:
    """A function of eight kernels, all different from those of another number."""

    def function(x: Array) -> list[Array]:
        return [(np.sqrt(x[: 100 + k]) * (number + k)).cumsum() for k in range(4)] + [
            np.sin(x[k:] + number).sum(keepdims=True) % (k + 2.0) for k in range(4)
        ]

    return function


def check(number: float) -> None:
    x = np.linspace(1.0, 2.0, 200)
    function = several(number)
    for got, wanted in zip(nf.jit(function, target="cpu")(x), function(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def modules(count: int) -> list[backend.Module]:
    text = "define i64 @f%d(i64 %%x) {\n  %%y = mul i64 %%x, %d\n  ret i64 %%y\n}"
    return [backend.Module(f"f{k}", text % (k, k + 3)) for k in range(count)]


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("numfuse-compile")]


def test_side_by_side_gives_what_one_after_another_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "thread_count", lambda: 4)
    given = modules(30)
    assert backend.object_codes(iter(given), 30) == [backend.compiler().object_code(module) for module in given]
    assert not running()


def test_several_callers_at_once() -> None:
    with ThreadPoolExecutor(6) as callers:
        for done in [callers.submit(check, number) for number in (1.5, 2.5, 1.5, 3.5, 4.5, 1.5)]:
            done.result()
    assert not running()


def test_one_thread_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "thread_count", lambda: 1)
    check(5.5)


def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(backend, "thread_count", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", refused)
    check(6.5)


@pytest.mark.parametrize("place", [0, 5, 11])
def test_an_error_in_llvm_is_told_and_leaves_nothing_behind(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "thread_count", lambda: 3)
    given = modules(12)
    given[place] = backend.Module("broken", "define i64 @broken() { ret nothing }")
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        backend.object_codes(iter(given), 12)
    assert not running()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_before_llvm_is_told_and_leaves_nothing_behind(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn() -> Iterator[backend.Module]:
        yield from modules(6)
        raise error("stopped")

    monkeypatch.setattr(backend, "thread_count", lambda: 3)
    with pytest.raises(error, match="stopped"):
        backend.object_codes(drawn(), 12)
    assert not running()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interruption_waits_for_what_is_at_work() -> None:
    """Numba's and llvmlite's locks are never left held: what takes them does not run in the main thread."""
    stopped, ended = threading.Event(), []

    def part() -> None:
        ended.append(stopped.wait(20))

    def interrupting() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        part()

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell has what it starts in the background ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            sheltered(part, interrupting, stopped=stopped)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True, True] and not running()


def test_a_function_whose_compilation_failed_can_be_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> Any:
        raise KeyboardInterrupt

    function, x = nf.jit(several(7.5), target="cpu"), np.linspace(1.0, 2.0, 200)
    with monkeypatch.context() as context:
        context.setattr(native, "_lowered", interrupted)
        with pytest.raises(KeyboardInterrupt):
            function(x)
    for got, wanted in zip(function(x), several(7.5)(x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_without_a_disk_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from numfuse.runtime import cache

    monkeypatch.setattr(cache, "_default", cache.DiskCache(None))
    with pytest.warns(RuntimeWarning, match="Kernels are compiled in each process"):
        check(8.5)


def test_functions_of_the_same_types_are_told_apart() -> None:
    x = np.linspace(-3.0, 3.0, 50)
    for got, wanted in zip(nf.jit(divmod, target="cpu")(x, 0.75), divmod(x, 0.75), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


def test_other_declarations_of_an_operator_change_nothing() -> None:
    """Numba's registries grow while a process runs; what was found in them before stays right."""
    from numba.core import types
    from numba.extending import overload

    check(9.5)

    class Odd(types.Type):  # type: ignore[misc]
        pass

    @overload(operator.add)
    def add(a: Any, b: Any) -> Any:
        return (lambda a, b: a) if isinstance(a, Odd) and isinstance(b, Odd) else None

    check(10.5)


PROGRAM = textwrap.dedent("""
    import atexit, os, signal, threading
    import numpy as np
    import numfuse as nf

    def function(x):
        return [np.sqrt(x[: 100 + k]).sum() * k for k in range(12)]

    x = np.arange(200.0)

    def last():
        print(len(nf.jit(lambda x: [y + 1.0 for y in function(x)], target="cpu")(x)))

    atexit.register(last)
""")


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NUMFUSE_CACHE_DIR": str(folder)}
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120)


def test_at_the_end_of_a_process(tmp_path: Path) -> None:
    done = run(PROGRAM, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "12"), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.3])
def test_an_interruption_ends_the_call(seconds: float, tmp_path: Path) -> None:
    """Wherever it comes, the process ends, and what it still compiles on its way out is right."""
    timer = (
        f"signal.signal(signal.SIGALRM, signal.default_int_handler); signal.setitimer(signal.ITIMER_REAL, {seconds})\n"
    )
    calls = "[nf.jit(lambda x, k=k: [y * k for y in function(x)], target='cpu')(x) for k in range(99)]"
    done = run(PROGRAM + timer + calls, tmp_path)
    assert done.returncode == -signal.SIGINT or "KeyboardInterrupt" in done.stderr, (done.returncode, done.stderr)
    assert done.stdout.strip() == "12", done.stderr


IMPORTS = textwrap.dedent("""
    import sys, threading
    import numpy as np
    import numfuse as nf
    from numfuse.runtime.importing import importing

    thread = threading.Thread(target=lambda: print(nf.jit(lambda x: x + 0.5, target="cpu")(np.arange(3.0)).sum()))
    with importing:
        thread.start()
        thread.join(1.0)
        print("numba" in sys.modules)
    thread.join()
""")


def test_threads_import_numba_one_after_another(tmp_path: Path) -> None:
    """Two that begin at different ends of it leave it broken."""
    done = run(IMPORTS, tmp_path)
    assert done.stdout.split() == ["False", "4.5"], done.stderr
