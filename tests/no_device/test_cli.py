"""The command line: data on stdout, messages on stderr, exit codes, help with examples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import numfuse as nf
from numfuse.cli import main

MODEL = """
import numpy as np

def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))

def softmax(x, axis=-1, scale=1.0):
    e = np.exp(scale * (x - x.max(axis, keepdims=True)))
    return e / e.sum(axis, keepdims=True)

def branch(x):
    return x if x > 0 else -x

class Layer:
    def forward(x):
        return x * 2

number = 3
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "cli_model.py"
    path.write_text(MODEL)
    return str(path)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("traced", "power(%x, 3.0:f32)"),
        ("optimized", "square(%x)"),
        ("fused", "fused(%x, body=graph gelu"),
        ("kernels", "def gelu(lo, hi, x, out):"),
    ],
)
def test_dump(model: str, stage: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", f"{model}:gelu", "--arg", "x=f32[1000]", "--stage", stage]) == 0
    out, err = capsys.readouterr()
    assert expected in out and err == ""


def test_dump_graphs_read_back(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("traced", "optimized", "fused"):
        assert main(["dump", f"{model}:softmax", "--arg", "x=f32[8,64]", "--arg", "axis=1", "--stage", stage]) == 0
        nf.Graph.parse(capsys.readouterr().out)
        assert main(["dump", f"{model}:softmax", "--arg", "x=f32[8,64]", "--stage", stage, "--format", "json"]) == 0
        nf.Graph.parse(json.loads(capsys.readouterr().out)["text"])
        assert main(["dump", f"{model}:softmax", "--arg", "x=f32[8,64]", "--stage", stage, "--format", "dot"]) == 0
        assert capsys.readouterr().out.startswith("digraph")


def test_dump_after_a_pass_and_as_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", f"{model}:gelu", "--arg", "x=f32[10]", "--pass", "fold"]) == 0
    assert "power(%x" in capsys.readouterr().out
    assert main(["dump", f"{model}:gelu", "--arg", "x=f32[10]", "--pass", "simplify"]) == 0
    assert "square(%x" in capsys.readouterr().out
    assert main(["dump", f"{model}:gelu", "--arg", "x=f32[10]", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["kernels"][0]["name"] == "gelu"


def test_dump_a_method_and_other_kinds_of_types(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for given in ("x=f32[4]", "x=float32[4]", "x=f4[4]", "x=f64[]", "x=f64", "x=2.5", "x=int64[2, 3]"):
        assert main(["dump", f"{model}:Layer.forward", "--arg", given, "--stage", "traced"]) == 0
        assert "multiply" in capsys.readouterr().out


@pytest.mark.cuda
def test_dump_cuda(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["dump", f"{model}:gelu", "--arg", "x=f32[1000]", "--target", "cuda", "--arch", "sm_80", "--stage", "ptx"])
        == 0
    )
    assert ".target sm_80" in capsys.readouterr().out
    assert (
        main(
            ["dump", f"{model}:gelu", "--arg", "x=f32[1000]", "--target", "cuda", "--stage", "ptx", "--format", "json"]
        )
        == 0
    )
    (kernel,) = json.loads(capsys.readouterr().out)
    assert kernel["resources"]["spill_bytes"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["dump", "{m}:gelu"], 2, "add --arg 'x=f32[1024,1024]'"),
        (["dump", "{m}:gelu", "--arg", "x=f32[10"], 2, "write it like f32[1024,1024]"),
        (["dump", "{m}:gelu", "--arg", "x=f33[10]"], 2, "unknown dtype 'f33'"),
        (["dump", "{m}:gelu", "--arg", "x=i8[10]"], 2, "write int8 or int64"),
        (["dump", "{m}:gelu", "--arg", "x"], 2, "write NAME=TYPE"),
        (["dump", "{m}:gelu", "--arg", "y=f32[10]"], 2, "gelu has no argument 'y'; it has x"),
        (["dump", "{m}:gelu", "--arg", "x=hello"], 2, "neither a type"),
        (["dump", "{m}:relu", "--arg", "x=f32[10]"], 2, "has no function 'relu'; it has gelu, softmax, branch"),
        (["dump", "{m}:number"], 2, "is not a function"),
        (["dump", "nowhere.py:f"], 2, "there is no file nowhere.py"),
        (["dump", "gelu"], 2, "write FILE.py:FUNCTION"),
        (["dump", "nowhere:f"], 2, "there is no module nowhere"),
        (["compile", "{m}:gelu"], 2, "add --arg 'x=f32[1024,1024]'"),
        (["compile", "{m}:gelu", "--arg", "x=f32[10]", "--also", "{m}:relu"], 2, "has no function 'relu'"),
        (
            ["compile", "{m}:gelu", "--arg", "x=f32[10]", "--also", "{m}:gelu", "--arg", "y=3"],
            2,
            "gelu has no argument",
        ),
        (["compile", "{m}:gelu", "--arg", "x=f32[10]", "--arch", "sm_90"], 2, "--arch is for --target cuda"),
        (["compile", "{m}:branch", "--arg", "x=f32[]"], 1, "np.where"),
        (["dump", "{m}:gelu", "--arg", "x=f32[10]", "--stage", "ptx"], 2, "--stage ptx is for --target cuda"),
        (["dump", "{m}:gelu", "--arg", "x=f32[10]", "--arch", "sm_90"], 2, "--arch is for --target cuda"),
        (["dump", "{m}:gelu", "--arg", "x=f32[10]", "--format", "dot"], 2, "--format dot is for graphs"),
        (["dump", "{m}:gelu", "--arg", "x=f32[10]", "--target", "cuda", "--arch", "hopper"], 1, "write it like sm_90"),
        (["dump", "{m}:branch", "--arg", "x=f32[]"], 1, "np.where"),
    ],
)
def test_mistakes(model: str, arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([part.format(m=model) for part in arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and told in err and "Traceback" not in err


def test_info_and_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    told = capsys.readouterr().out
    for row in ("numfuse", "numpy", "numba", "cpu", "gpu", "cuda toolkit", "default target", "cache"):
        assert any(line.startswith(row) for line in told.splitlines())
    assert main(["cache", "path"]) == 0
    assert capsys.readouterr().out.strip().endswith("kernels")
    assert main(["cache", "list"]) == 0
    assert main(["cache", "clear"]) == 0
    assert "removed" in capsys.readouterr().out


def test_help_has_examples() -> None:
    for arguments in (["--help"], ["dump", "--help"], ["compile", "--help"], ["cache", "--help"]):
        done = subprocess.run([sys.executable, "-m", "numfuse", *arguments], capture_output=True, text=True)
        assert done.returncode == 0 and "examples:" in done.stdout
    assert subprocess.run([sys.executable, "-m", "numfuse", "dmup"], capture_output=True).returncode == 2
