"""Compiling before the first call, and what a jitted function tells of why it compiled again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numfuse.runtime.cpu import compile as native

import numfuse as nf

MODEL = """
import numpy as np
import numfuse as nf

@nf.jit
def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)

@nf.jit
def relax(u, omega):
    u[1:-1] += omega * (u[2:] - 2 * u[1:-1] + u[:-2])

class Layer:
    def __init__(self):
        self.w = np.ones((5, 3), "f4")

    @nf.jit
    def forward(self, x):
        return np.tanh(x @ self.w).sum(1)
"""
CALLS = """
import sys
import numpy as np
from model import *

softmax(np.ones((64, 100), "f4"))
softmax(np.ones((7, 9)), 0)
u = np.zeros(1000)
relax(u, 0.25)
Layer().forward(np.ones((4, 5), "f4"))
print("numba" in sys.modules)
"""
AHEAD = """
from model import *

nf.compile_ahead(softmax, [(nf.spec("f4", 64, 100),), {"x": nf.spec("f8", 7, 9), "axis": 0}])
nf.compile_ahead(relax, (nf.spec("f8", 1000), 0.5))
nf.compile_ahead(Layer().forward, (nf.spec("f4", 4, 5),))
"""
COMMAND = [
    *("compile", "model.py:softmax", "--arg", "x=f32[64,100]"),
    *("--also", "model:softmax", "--arg", "x=f64[7,9]", "--arg", "axis=0"),
    *("--also", "model.py:relax", "--arg", "u=f64[1000]", "--arg", "omega=0.5"),
]


def run(folder: Path, *command: str, log: str = "cache") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NUMFUSE_CACHE_DIR": str(folder / "cache"), "NUMFUSE_LOG": log, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def test_the_next_process_loads_native_code_alone(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    assert "miss" in run(tmp_path, "-c", AHEAD).stderr
    done = run(tmp_path, "-c", CALLS)
    assert done.stdout.strip() == "False"
    assert "hit" in done.stderr and "miss" not in done.stderr


def test_the_command_line_does_the_same(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    done = run(tmp_path, "-m", "numfuse", *COMMAND, log="")
    assert done.stdout.splitlines()[:2] == [
        "model.py:softmax for x=f32[64,100]: 1 kernel",
        "model:softmax for x=f64[7,9], axis=0: 1 kernel",
    ]
    assert "numfuse: 3 of 3: model.py:relax for u=f64[1000], omega=0.5\n" in done.stderr
    calls = "\n".join(line for line in CALLS.splitlines() if "Layer" not in line)
    done = run(tmp_path, "-c", calls)
    assert done.stdout.strip() == "False" and "miss" not in done.stderr


def test_calls_in_this_process_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    f = nf.jit(lambda x, scale: np.tanh(x) * scale - 0.123, target="cpu")
    (compiled,) = nf.compile_ahead(f, (nf.spec("f8", 5, 1), 1.0))
    assert isinstance(compiled, nf.Compiled)
    traced: list[Any] = []
    monkeypatch.setattr("numfuse.compiler.jit.trace_function", lambda *args: traced.append(args))
    x = np.arange(5.0)[:, None]
    np.testing.assert_allclose(f(x, 2.0), np.tanh(x) * 2.0 - 0.123)
    assert nf.compile_ahead(f, (x, 3.0)) == [compiled] and traced == []


def test_what_is_given_wrongly_is_named() -> None:
    f = nf.jit(lambda x, y: x + y)
    with pytest.raises(TypeError, match=r"signature 1 of .* is f32\[3\]; it is to be a tuple"):
        nf.compile_ahead(f, nf.spec("f4", 3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"signature 2 of .*: missing a required argument: 'y'"):
        nf.compile_ahead(f, [(1.0, 2.0), {"x": 1.0}])
    with pytest.raises(nf.TraceError):
        nf.compile_ahead(nf.jit(lambda x: x if x.sum() > 0 else -x, fallback=True), (nf.spec("f4", 3),))


@pytest.mark.cuda
def test_for_a_gpu_that_is_elsewhere(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMFUSE_LOG", "cache")
    for expected in ("miss function sm_80", "hit function sm_80"):
        nf.compile_ahead(lambda x: x * 1.25 + 7, (nf.spec("f4", 100),), target="cuda", arch="sm_80")
        assert expected in capsys.readouterr().err


def test_a_spec_is_an_array_in_c_order() -> None:
    compiled = nf.jit(lambda x: x * 2, target="cpu").lower(nf.spec("f8", 4, 3)).compile()
    x = np.arange(12.0).reshape(3, 4)
    with pytest.raises(TypeError, match="another layout"):
        compiled(x.T)
    for given in (x.T.copy(), x.T.copy().astype(">f8"), np.asfortranarray(x.T.copy()).astype(">f8")):
        np.testing.assert_array_equal(compiled(given), given * 2)
    swapped = nf.jit(lambda x: x * 2, target="cpu").lower(x.T.copy().astype(">f8")).compile()
    with pytest.raises(TypeError, match="another layout"):
        swapped(x.T)


def test_it_is_told_why_a_function_compiled_again() -> None:
    def mean(x: Any, scale: Any = 1.0, axis: int = 0) -> Any:
        return x.mean(axis) * scale

    f = nf.jit(mean, target="cpu")
    x = np.ones((20, 30))
    calls: list[tuple[Any, ...]] = [(x,), (x[:10],), (x.T,), (x.astype("f4"),), (x, 2.0), (x, 2), (x, 2, 1), (x, 2, 0)]
    for call in calls:
        f(*call)
        f(*call)
    f(np.empty(20 * 30 * 8 + 8, "u1")[8:].view("f8").reshape(20, 30))
    told = [line.partition(": ")[2] for line in f.explain().splitlines()]
    assert told == [
        "",
        "the first one",
        "unlike 1, the shape of x is (10, 30), not (20, 30)",
        "unlike 2, the shape of x is (30, 20), not (10, 30)",
        "unlike 1, the dtype of x is float32, not float64",
        "unlike 1, there is scale=float",
        "unlike 5, scale is int, not float",
        "unlike 6, there is axis=1",
        "unlike 7, axis is 0, not 1",
        "unlike 1, x does not start at a multiple of 16 bytes",
    ]
    assert f.explain().splitlines()[:2] == [f"{f!r}, 9 signatures", "1. x=f64[20,30]: the first one"]


def test_other_reasons_to_compile_again(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMFUSE_LOG", "compile")
    f = nf.jit(lambda x, how=None: x[0] + 1 if isinstance(x, (list, tuple)) else x + 1, target="cpu")
    x = np.ones((4, 4))
    f(x)
    f(x.T)
    assert "unlike 1, the strides of x are (1, 4) elements, not (4, 1) elements (C order)" in capsys.readouterr().err
    f([x])
    assert "there is x_0=f64[4,4]; there is no x" in capsys.readouterr().err
    f((x,))
    assert "nested in other containers" in capsys.readouterr().err
    f(x, {1})
    assert "how is {1}" not in f.explain() and "there is how={1}" in f.explain()
    f(x, {1})
    assert "how is another object, {1}" in f.explain()
    g = nf.jit(lambda x: x if x.sum() > 0 else -x, target="cpu", fallback=True)
    with pytest.warns(nf.FallbackWarning):
        g(x)
    assert g.explain().endswith("the first one (not compiled as a whole: see `lower`)")


def test_the_log_tells_of_each_kernel(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(x: Any) -> Any:
        return np.tanh(x) - 0.375

    monkeypatch.setenv("NUMFUSE_LOG", "cache")
    nf.jit(shifted, target="cpu")(np.ones(10))
    assert "miss shifted" in capsys.readouterr().err
    nf.jit(shifted, target="cpu")(np.ones(10))
    told = capsys.readouterr().err
    assert "hit shifted" in told and told.strip().endswith("in this process")
    monkeypatch.setattr("numfuse.runtime.cpu.executable._loaded", {})
    monkeypatch.setattr(native, "compile_sources", None)
    nf.jit(shifted, target="cpu")(np.ones(10))
    told = capsys.readouterr().err
    assert "hit shifted" in told and "on disk" in told


def test_kernels_of_one_code_compile_once_whatever_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(x: Any) -> Any:
        return np.tanh(x) - 0.4375

    def another(x: Any) -> Any:
        return np.tanh(x) - 0.4375

    nf.jit(one, target="cpu")(np.ones(10))
    monkeypatch.setattr(native, "compile_sources", None)
    again = nf.jit(another, target="cpu")
    np.testing.assert_allclose(again(np.ones(7)), another(np.ones(7)))
    assert again.lower(np.ones(7)).kernels[0].name == "another"


def test_a_kernel_that_a_program_runs_often_is_looked_up_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stepped(x: Any) -> Any:
        for _ in range(20):
            x[1:-1] = 0.5 * (x[2:] + x[:-2])
        return x

    monkeypatch.setenv("NUMFUSE_LOG", "cache")
    function = nf.jit(stepped, target="cpu")
    function(np.arange(50.0))
    kernels = {kernel.name for kernel in function.lower(np.arange(50.0)).kernels}
    assert len(capsys.readouterr().err.splitlines()) == len(kernels) < 20
