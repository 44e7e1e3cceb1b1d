"""What only a fresh process shows: imports, the warm start, corrupted caches, many processes at once, unwritable folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import numpy as np
import numfuse as nf

def f(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True) ** 2

x = np.random.default_rng(0).random((64, 100)).astype("f4")
np.testing.assert_allclose(nf.jit(f)(x), f(x), rtol=1e-5)
print("numba" in sys.modules, "networkx" in sys.modules)
"""


def run(program: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NUMFUSE_CACHE_DIR": str(cache), **environment}
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120)


def test_import_brings_in_neither_numba_nor_networkx(tmp_path: Path) -> None:
    done = run(
        "import sys, numfuse; print([m for m in ('numba', 'networkx', 'llvmlite', 'cuda') if m in sys.modules])",
        tmp_path,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_warm_start_needs_no_numba(tmp_path: Path) -> None:
    cold, warm = run(PROGRAM, tmp_path), run(PROGRAM, tmp_path)
    assert (cold.stdout.split(), warm.stdout.split()) == (["True", "False"], ["False", "False"]), (
        cold.stderr + warm.stderr
    )


def test_a_warm_start_makes_no_machine_code(tmp_path: Path) -> None:
    """Neither for kernels nor for what launches them, shares them among threads and allocates their results."""
    refusing = """
import llvmlite.binding as llvm
parse = llvm.parse_assembly
llvm.parse_assembly = lambda text: parse(text) if not text else 1 / 0
"""
    large = (
        "\nx = np.random.default_rng(1).random((3000, 700)).astype('f4')\nnf.jit(f)(x)\nnf.jit(lambda y: y + 1)(x[0])"
    )
    assert run(PROGRAM + large, tmp_path).returncode == 0
    done = run(refusing + PROGRAM + large, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_cold_start_needs_a_part_of_numba_alone(tmp_path: Path) -> None:
    """Its own CPU target brings in SciPy's linear algebra and all of its array functions, at three times the cost of compiling a kernel."""
    left_out = "('scipy.linalg', 'numba.np.arraymath', 'numba.cpython.unicode')"
    done = run(f"{PROGRAM}\nprint([name for name in {left_out} if name in sys.modules])", tmp_path)
    assert done.stdout.split() == ["True", "False", "[]"], done.stdout + done.stderr


def test_complex_products_in_the_first_kernel(tmp_path: Path) -> None:
    """Numba multiplies complex numbers by a Python function, which it compiles while it lowers the kernel; the comparison after it then failed."""
    program = """
import numpy as np
import numfuse as nf

def f(x):
    y = x[:1] * x[1]
    return np.concatenate([y + x[:1], y - x[:1]]) * x[:2]

x = np.arange(1, 9) + 2j
np.testing.assert_allclose(nf.jit(f)(x), f(x), rtol=1e-12)
"""
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_corrupted_and_truncated_files_are_compiled_anew(tmp_path: Path) -> None:
    assert run(PROGRAM, tmp_path).returncode == 0
    for number, path in enumerate((tmp_path / "kernels").iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if number % 2 else content[:-20] + os.urandom(20))
    done = run(PROGRAM, tmp_path, NUMFUSE_LOG="cache")
    assert done.returncode == 0, done.stderr
    assert "is damaged; it is compiled anew" in done.stderr


def test_eight_processes_fill_one_cache(tmp_path: Path) -> None:
    env = {**os.environ, "NUMFUSE_CACHE_DIR": str(tmp_path)}
    workers = [subprocess.Popen([sys.executable, "-c", PROGRAM], env=env, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [worker.wait(120) for worker in workers] == [0] * 8
    assert run(PROGRAM, tmp_path).stdout.split()[0] == "False"


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root can write anywhere")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = run(PROGRAM, tmp_path / "cache")
    assert done.returncode == 0 and "RuntimeWarning" in done.stderr


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(PROGRAM, tmp_path / "file")
    assert done.returncode == 0 and "NUMFUSE_CACHE_DIR" in done.stderr


def test_cuda_without_a_gpu_says_what_to_do(tmp_path: Path) -> None:
    program = "import numpy as np, numfuse as nf\nnf.jit(lambda x: x + 1, target='cuda')(np.ones(3))"
    done = run(program, tmp_path, CUDA_VISIBLE_DEVICES="-1")
    assert done.returncode == 1
    assert "pip install 'numfuse[cuda]'" in done.stderr


def test_the_simulator_is_chosen_where_it_still_can_be(tmp_path: Path) -> None:
    program = "import numpy as np, numfuse as nf\nprint(nf.jit(lambda x: x + 1, target='cudasim')(np.ones(3)))"
    done = run(program, tmp_path)
    assert done.stdout.strip() == "[2. 2. 2.]", done.stderr
    late = run("import numba\n" + program, tmp_path)
    assert late.returncode == 1 and "NUMBA_ENABLE_CUDASIM=1" in late.stderr


def test_settings_that_are_wrong_are_told(tmp_path: Path) -> None:
    done = run("import numpy as np, numfuse as nf\nnf.jit(lambda x: x)(np.ones(3))", tmp_path, NUMFUSE_TARGET="tpu")
    assert done.returncode == 1 and "NUMFUSE_TARGET='tpu' is not a target" in done.stderr


def test_cached_code_calls_the_c_library_alone(tmp_path: Path) -> None:
    """An object that names a function nobody has would end the process that loads it."""
    assert run(PROGRAM, tmp_path).returncode == 0
    for path in (tmp_path / "kernels").iterdir():
        assert b"numba_" not in path.read_bytes() and b"NRT_" not in path.read_bytes()


def test_forked_children_have_threads_of_their_own(tmp_path: Path) -> None:
    program = """
import os, numpy as np, numfuse as nf
f = nf.jit(lambda x: np.tanh(x) + np.exp(x))
x = np.random.default_rng(0).random(3_000_000)
f(x)
pid = os.fork()
np.testing.assert_allclose(f(x)[:10], np.tanh(x[:10]) + np.exp(x[:10]))
if pid == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("done")
"""
    done = run(program, tmp_path)
    assert done.stdout.strip() == "done", done.stderr
