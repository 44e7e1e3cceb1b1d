"""CUDA kernels compiled to machine code without a GPU: no spills, wide loads, no 64-bit division, no stray float64."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numfuse.compiler.ops import OPERATORS, scalar_code

import numfuse as nf
from tests import indexed
from tests.functions import CASES

pytestmark = pytest.mark.cuda

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_120")
DIVISION_64 = re.compile(r"\b(div|rem)\.[su]64\b")
FLOAT_64 = re.compile(r"\.f64\b")


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", CASES)
def test_promised_functions(name: str, arch: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    arguments = case.arguments(case.full_size, rng)
    lowered = nf.jit(case.function).lower(*arguments, target="cuda", arch=arch)
    assert len(lowered.kernels) <= case.cuda_kernels and lowered.library_calls == ["linear"] * case.matmuls
    for kernel in lowered.kernels:
        assert kernel.resources["spill_bytes"] == 0
        assert kernel.resources["registers"] <= 128 and kernel.resources["shared_bytes"] <= 48 * 1024
        assert not DIVISION_64.search(kernel.ptx)
        assert ".local" not in kernel.ptx, "an array of the thread's own did not become registers"
        assert f".target {arch}" in kernel.ptx
        if {array.dtype for array in arguments} == {np.dtype("f4")}:
            assert not FLOAT_64.search(kernel.ptx), "float64 in a float32 kernel"


@pytest.mark.parametrize("name", ["saxpy", "gelu"])
def test_flat_float32_kernels_load_16_bytes(name: str, rng: np.random.Generator) -> None:
    arguments = CASES[name].arguments(1_000_000, rng)
    (kernel,) = nf.jit(CASES[name].function).lower(*arguments, target="cuda", arch="sm_90").kernels
    assert kernel.ptx.count("ld.global.v4.f32") == len(arguments)
    assert kernel.ptx.count("st.global.v4.f32") == 1
    assert not re.search(r"ld\.global\.f32", kernel.ptx), "a size that four divides needs no single loads"


@pytest.mark.parametrize(
    ("dtype", "wide"), [("f2", "v4.u32|v4.b32|v8"), ("f8", "v2.f64"), ("i4", "v4.u32"), ("u1", "v4.u32|v4.b32")]
)
def test_other_dtypes_load_16_bytes(dtype: str, wide: str) -> None:
    (kernel,) = nf.jit(lambda x: x + x).lower(nf.spec(dtype, 1 << 20), target="cuda", arch="sm_90").kernels
    assert re.search(rf"ld\.global\.({wide})", kernel.ptx), [
        line for line in kernel.ptx.splitlines() if "ld.global" in line
    ]


def test_a_misaligned_array_is_read_element_by_element() -> None:
    from numfuse.compiler.lower.program import Layout
    from numfuse.compiler.lowered import lower_graph

    graph = nf.jit(lambda x: x + 1).trace(nf.spec("f4", 1024)).graph
    lowered = lower_graph(graph, [Layout((1,), aligned=False)], "cuda", "sm_90")
    (kernel,) = lowered.kernels
    assert "ld.global.v4" not in kernel.ptx and "ld.global.f32" in kernel.ptx


def test_more_than_2_to_the_31_elements() -> None:
    (kernel,) = nf.jit(lambda x: x * 2).lower(nf.spec("u1", 2**33 + 5), target="cuda", arch="sm_90").kernels
    assert "wide_thread" not in kernel.source, "sixteen elements a thread: 2**29 threads"
    (kernel,) = nf.jit(lambda x: x[1:-1] * 2 + x[2:]).lower(nf.spec("f8", 2**33), target="cuda", arch="sm_90").kernels
    assert "wide_thread()" in kernel.source and kernel.resources["spill_bytes"] == 0


def every_operator() -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for name, row in OPERATORS.items():
        if row.ufunc is None or row.kind != "elementwise":
            continue
        for signature in row.ufunc.types:
            chars = tuple(signature.split("->")[0])
            if all(char in "?bhilBHILefdFD" for char in chars) and scalar_code(name, *map(np.dtype, chars)):
                found.append((name, chars))
    return found


@pytest.mark.parametrize("chars", sorted({chars for _, chars in every_operator()}), ids="".join)
def test_every_operator_compiles(chars: tuple[str, ...]) -> None:
    """All operators of one signature, a few to a kernel: a name that the target lacks, or code it cannot type, fails here."""
    names = [name for name, signature in every_operator() if signature == chars]
    for start in range(0, len(names), 12):
        some = names[start : start + 12]
        function = nf.jit(lambda *x, some=some: tuple(OPERATORS[name].ufunc(*x) for name in some))  # type: ignore[misc]
        for kernel in function.lower(*[nf.spec(char, 64) for char in chars], target="cuda", arch="sm_90").kernels:
            assert ".entry" in kernel.ptx


def test_fastmath_changes_the_code() -> None:
    exact, fast = (
        nf.jit(lambda x: np.sqrt(x) / (x + 1), fastmath=fastmath)
        .lower(nf.spec("f4", 1024), target="cuda", arch="sm_90")
        .kernels[0]
        .ptx
        for fastmath in (False, True)
    )
    assert "sqrt.rn.f32" in exact and "sqrt.rn.f32" not in fast


def test_reductions_of_every_kind_compile() -> None:
    for dtype in ("?", "i1", "u8", "f2", "f4", "f8", "c8", "c16"):

        def f(x):
            sums = x.sum(1), x.sum(0), x.sum()
            return sums if x.dtype.kind == "c" else (*sums, x.max(1), x.min(0), x.argmax(1), (x > 0).any(), x.prod(1))

        for shape in ((64, 1000), (1000, 64), (3, 50)):
            for kernel in nf.jit(f).lower(nf.spec(dtype, shape), target="cuda", arch="sm_80").kernels:
                assert kernel.resources["spill_bytes"] == 0


@pytest.mark.parametrize("name", indexed.CASES)
def test_indexing_with_arrays_and_masks_compiles(name: str) -> None:
    function, arguments = indexed.CASES[name]
    try:
        lowered = nf.jit(function).lower(*arguments, target="cuda", arch="sm_90")
    except (ValueError, IndexError):  # what NumPy refuses too
        return
    for kernel in lowered.kernels:
        assert kernel.resources["spill_bytes"] == 0


def test_places_are_loaded_16_bytes_at_a_time() -> None:
    lowered = nf.jit(lambda x, i: x[i % 1000]).lower(
        nf.spec("f4", 1000), nf.spec("i8", 1 << 16), target="cuda", arch="sm_90"
    )
    (kernel,) = lowered.kernels
    assert re.search(r"ld\.global\.v2\.(u64|b64)", kernel.ptx) and re.search(r"ld\.global\.f32", kernel.ptx)


@pytest.mark.parametrize("name", ["softmax", "layer_norm"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_rows_of_any_length_stay_in_registers(name: str, dtype: str) -> None:
    for length in (100, 512, 513, 4096, 8192, 12_288, 16_384, 32_768, 33_000, 200_000):
        specs = [nf.spec(dtype, (4096, length)), nf.spec(dtype, (length,)), nf.spec(dtype, (length,))]
        lowered = nf.jit(CASES[name].function).lower(
            *specs[: 1 if name == "softmax" else 3], target="cuda", arch="sm_90"
        )
        for kernel in lowered.kernels:
            assert kernel.resources["spill_bytes"] == 0 and ".local" not in kernel.ptx, length


def test_what_is_read_across_its_rows_goes_through_shared_memory() -> None:
    lowered = nf.jit(lambda x, y: x.T + y).lower(
        nf.spec("f4", (1000, 2000)), nf.spec("f4", (2000, 1000)), target="cuda", arch="sm_90"
    )
    (kernel,) = lowered.kernels
    assert kernel.resources["shared_bytes"] == 4 * 32 * 33 and "bar.sync" in kernel.ptx


@pytest.mark.parametrize("start", [1, 2, 3])
def test_slices_from_any_place_on_load_16_bytes(start: int) -> None:
    (kernel,) = nf.jit(lambda x: x[start:] * 2).lower(nf.spec("f4", 1 << 20), target="cuda", arch="sm_90").kernels
    assert "ld.global.v4.f32" in kernel.ptx and "st.global.v4.f32" in kernel.ptx


def test_what_has_no_kernel_is_a_library_call() -> None:
    lowered = nf.jit(lambda x: np.sort(x) * 2).lower(nf.spec("f4", 10), target="cuda", arch="sm_90")
    assert lowered.library_calls == ["sort"] and len(lowered.kernels) == 1


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "tanh", "arcsin", "arctanh", "sign"])
def test_functions_of_complex_numbers_are_kernels(name: str) -> None:
    function = getattr(np, name)
    for dtype in ("c8", "c16"):
        (kernel,) = nf.jit(lambda z: function(z)).lower(nf.spec(dtype, 1000), target="cuda", arch="sm_90").kernels
        assert kernel.resources["spill_bytes"] == 0 and kernel.resources["registers"] <= 64


def test_calling_without_a_gpu_says_what_to_do() -> None:
    from numfuse.runtime.cuda.compile import NoCudaError
    from numfuse.runtime.cuda.driver import device_count

    if device_count():
        pytest.skip("there is a GPU")
    compiled = nf.jit(lambda x: x + 1).lower(nf.spec("f4", 8), target="cuda", arch="sm_90").compile()
    assert "ptx" in dir(compiled.kernels[0])
    with pytest.raises(NoCudaError, match=r"pip install 'numfuse\[cuda\]'"):
        compiled(np.ones(8, "f4"))
