"""Golden kernels: what is printed for a few functions, to be reviewed like code. `pytest --update-golden` writes them anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import numfuse as nf
from tests.functions import CASES
from tests.guarded import laplacian

GOLDEN = Path(__file__).parent / "golden"


def blur(x):
    y = np.pad(x, 1, mode="edge")
    return (y[:-2] + 2 * y[1:-1] + y[2:]) / 4


def smooth(x):
    p = np.pad(x, 1, mode="edge")
    return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]


def step(u, dt):
    u[1:-1] += dt * (u[2:] - 2 * u[1:-1] + u[:-2])
    return u


def noisy(x, rng):
    return x + rng.normal(scale=0.1, size=x.shape)


KERNELS = {
    "gelu": (CASES["gelu"].function, [nf.spec("f4", 1000)]),
    "gelu_odd": (CASES["gelu"].function, [nf.spec("f4", 1001)]),
    "softmax": (CASES["softmax"].function, [nf.spec("f4", 64, 1024)]),
    "layer_norm": (CASES["layer_norm"].function, [nf.spec("f4", 64, 100), nf.spec("f4", 100), nf.spec("f4", 100)]),
    "squared_distance": (CASES["squared_distance"].function, [nf.spec("f4", 1_000_000), nf.spec("f4", 1_000_000)]),
    "standardise": (CASES["standardise"].function, [nf.spec("f4", 4096, 64)]),
    "stencil": (CASES["stencil"].function, [nf.spec("f4", 66, 66)]),
    "nbody": (CASES["nbody"].function, [nf.spec("f8", 500, 3), nf.spec("f8", 500)]),
    "blur": (blur, [nf.spec("f2", 200)]),
    "step": (step, [nf.spec("f8", 200), 0.1]),
    "noisy": (noisy, [nf.spec("f8", 40, 50), np.random.default_rng(0)]),
    "across": (lambda x, y: x.T + y, [nf.spec("f4", 100, 64), nf.spec("f4", 64, 100)]),
    "streamed": (CASES["stencil"].function, [nf.spec("f4", 1026, 1026)]),
    "rotate": (lambda r, x, t: r @ x + t, [nf.spec("f4", 1000, 3, 3), nf.spec("f4", 1000, 3, 3), nf.spec("f4", 3)]),
    "dense": (lambda x, w: np.maximum(x @ w, 0), [nf.spec("f4", 256, 1000), nf.spec("f4", 1000, 512)]),
    "scores": (lambda q, k: q @ k.swapaxes(1, 2) / 8, [nf.spec("f4", 8, 128, 64), nf.spec("f4", 8, 100, 64)]),
    "periodic": (laplacian, [nf.spec("f4", 200, 100)]),
    "padded": (lambda x: np.pad(x, 1) * 2, [nf.spec("f4", 200, 100)]),
    "smooth": (smooth, [nf.spec("f4", 200, 100)]),
    "pairs": (
        lambda x, y, z: np.stack([x, y], -1).reshape(-1) * z,
        [nf.spec("f4", 200), nf.spec("f4", 200), nf.spec("f4", 400)],
    ),
    "count": (lambda x: (x > 0.5).sum(1), [nf.spec("f4", 50, 300)]),
}


@pytest.mark.parametrize("target", ["cpu", "cuda"])
@pytest.mark.parametrize("name", KERNELS)
def test_golden(name: str, target: str, request: pytest.FixtureRequest, products_by_kernels: None) -> None:
    function, specs = KERNELS[name]
    arch = "sm_90" if target == "cuda" else None
    schedule = nf.Schedule(stream=True) if name == "streamed" else None
    lowered = nf.jit(function, schedule=schedule).lower(*specs, target=target, arch=arch)
    extents = [phase.extents for kernel in lowered.program.kernels for phase in kernel.phases]
    sources = {kernel.name: kernel.code for kernel in lowered.kernels}
    text = f"# launches: {extents}\n\n\n" + "\n\n".join(sources.values())
    path = GOLDEN / f"{name}.{target}.py.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} has changed: look at the difference, then run pytest --update-golden"
    assert len(text.splitlines()) < 120
