"""The Python array API standard 2024.12 on lazy arrays: each function of it, called as the standard writes it, beside NumPy's (which conforms)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numfuse.compiler.lazy.fallback import listening

import numfuse as nf
import numfuse.numpy as xp
from tests.cpu.test_lazy import compare, plain

RNG = np.random.default_rng(5)
SQUARE = RNG.standard_normal((3, 3))
ARRAYS: dict[str, Any] = {
    "x": RNG.standard_normal((2, 3)), "y": RNG.standard_normal((2, 3)), "f": RNG.random((2, 3)).astype("f4"), "p": RNG.random((2, 3)) + 1,
    "i": np.array([[1, 2, 3], [3, 1, 2]]), "j": np.array([[2, 2, 1], [0, 3, 1]]), "u": np.array([3, 200, 7], "u1"),
    "b": np.array([[True, False, True], [False, True, True]]),
    "c": RNG.standard_normal((2, 3)) + 1j, "z": np.asarray(2.5), "v": RNG.standard_normal(3), "w": RNG.standard_normal(3), "s": SQUARE,
    "pd": SQUARE @ SQUARE.T + np.eye(3), "n": np.array([1.0, np.nan, np.inf, -np.inf, -0.0]), "k": np.array([2, 0, 1]), "e": np.zeros((0, 3)),
}  # fmt: skip
STANDARD = {
    "creation": """
        xp.arange(5); xp.arange(1, 7, 2, dtype=xp.float32, device="cpu"); xp.asarray([1, 2]); xp.asarray(3.0); xp.asarray([True], dtype=xp.bool, device="cpu");
        xp.asarray(x, copy=True); xp.empty((2, 3)) * 0; xp.empty_like(x) * 0; xp.eye(3); xp.eye(2, 3, k=1, dtype=xp.int64, device="cpu"); xp.full((2,), 7);
        xp.full(3, 1.5, dtype=xp.float32, device="cpu"); xp.full_like(x, 3); xp.linspace(0, 1, 5); xp.linspace(0, 1, num=4, dtype=xp.float32, endpoint=False);
        xp.meshgrid(v, w, indexing="ij"); xp.ones(3); xp.ones((2, 2), dtype=xp.complex64, device="cpu"); xp.ones_like(i); xp.tril(s, k=1); xp.triu(s, k=-1);
        xp.zeros((2, 0)); xp.zeros(2, dtype=xp.uint8); xp.zeros_like(f); xp.from_dlpack(x); xp.from_dlpack(x, device="cpu", copy=True)
    """,
    "data types": """
        xp.astype(x, xp.float32, copy=False); xp.astype(x, xp.int32); xp.astype(x, xp.float32, device="cpu"); xp.can_cast(i, xp.float64);
        xp.finfo(xp.float32).eps;
        xp.iinfo(xp.int8).max; xp.isdtype(xp.float32, "real floating"); xp.isdtype(i.dtype, ("integral", "bool")); xp.result_type(i, f);
        xp.result_type(i, xp.float32);
        xp.result_type(f, 1.0); xp.broadcast_arrays(x, v); xp.broadcast_to(v, (2, 3))
    """,
    "elementwise": """
        xp.abs(c); xp.acos(f); xp.acosh(p); xp.add(x, y); xp.add(x, 1); xp.asin(f); xp.asinh(x); xp.atan(x); xp.atan2(x, y); xp.atanh(f); xp.bitwise_and(i, j);
        xp.bitwise_left_shift(i, j); xp.bitwise_invert(i); xp.bitwise_or(i, j); xp.bitwise_right_shift(i, j); xp.bitwise_xor(b, b); xp.ceil(x);
        xp.clip(x, min=-1, max=1); xp.clip(x, 0, 1); xp.conj(c); xp.copysign(x, y); xp.cos(x); xp.cosh(x); xp.divide(x, y); xp.equal(i, j); xp.exp(x);
        xp.expm1(x); xp.floor(x); xp.floor_divide(x, y); xp.greater(x, y); xp.greater_equal(x, 0); xp.hypot(x, y); xp.imag(c); xp.isfinite(n); xp.isinf(n);
        xp.isnan(n); xp.less(x, y); xp.less_equal(i, j); xp.log(p); xp.log1p(f); xp.log2(p); xp.log10(p); xp.logaddexp(x, y); xp.logical_and(b, b);
        xp.logical_not(b); xp.logical_or(b, True); xp.logical_xor(b, b); xp.maximum(x, y); xp.minimum(x, 0.5); xp.multiply(x, y); xp.negative(x);
        xp.nextafter(x, y); xp.not_equal(i, j); xp.positive(x); xp.pow(p, y); xp.pow(i, 2); xp.real(c); xp.reciprocal(x); xp.remainder(x, y); xp.round(x);
        xp.sign(x); xp.sign(c); xp.signbit(n); xp.sin(c); xp.sinh(x); xp.square(x); xp.sqrt(p); xp.subtract(x, y); xp.tan(x); xp.tanh(x); xp.trunc(x)
    """,
    "linear algebra": """
        xp.matmul(x, s); xp.matrix_transpose(x); xp.tensordot(x, s, axes=1); xp.tensordot(x, y, axes=((0, 1), (0, 1))); xp.vecdot(x, y);
        xp.vecdot(x, y, axis=0);
        xp.linalg.cholesky(pd); xp.linalg.cholesky(pd, upper=True); xp.linalg.cross(v, w); xp.linalg.cross(x, y, axis=1); xp.linalg.det(s);
        xp.linalg.diagonal(s); xp.linalg.diagonal(s, offset=1); xp.linalg.eigh(pd).eigenvalues; xp.abs(xp.linalg.eigh(pd).eigenvectors);
        xp.linalg.eigvalsh(pd); xp.linalg.inv(s); xp.linalg.matmul(x, s); xp.linalg.matrix_norm(s); xp.linalg.matrix_norm(s, keepdims=True, ord=1);
        xp.linalg.matrix_power(s, 3); xp.linalg.matrix_rank(s); xp.linalg.matrix_transpose(x); xp.linalg.outer(v, w); xp.linalg.pinv(x); xp.linalg.qr(s);
        xp.linalg.qr(x, mode="complete").R; xp.linalg.slogdet(s); xp.linalg.solve(s, v); xp.linalg.solve(s, x.T); xp.linalg.svd(x).S;
        xp.linalg.svd(x, full_matrices=False).S; xp.linalg.svdvals(x); xp.linalg.tensordot(x, s, axes=1); xp.linalg.trace(s, offset=1, dtype=xp.float32);
        xp.linalg.vecdot(x, y); xp.linalg.vector_norm(x); xp.linalg.vector_norm(x, axis=0, keepdims=True, ord=1)
    """,
    "manipulation": """
        xp.concat((x, y), axis=1); xp.concat([x, y], axis=None); xp.expand_dims(x, axis=0); xp.flip(x, axis=1); xp.moveaxis(x, 0, -1);
        xp.permute_dims(x, (1, 0));
        xp.repeat(x, 2, axis=1); xp.repeat(v, i[0]); xp.reshape(x, (3, 2), copy=True); xp.reshape(x, (-1,)); xp.roll(x, 1, axis=0); xp.squeeze(x[None], axis=0);
        xp.stack([x, y], axis=-1); xp.tile(x, (2, 1)); xp.unstack(x, axis=1)
    """,
    "searching, sets and sorting": """
        xp.argmax(x, axis=1, keepdims=True); xp.argmin(x); xp.count_nonzero(i, axis=0, keepdims=True); xp.nonzero(b);
        xp.searchsorted(xp.sort(v), w, side="right");
        xp.searchsorted(v, w, sorter=xp.argsort(v)); xp.where(b, x, y); xp.where(b, x, 0); xp.unique_all(i).counts; xp.unique_counts(i); xp.unique_inverse(i);
        xp.unique_values(i); xp.argsort(x, axis=0, stable=True);  xp.sort(x, axis=1, stable=True);
        xp.take(x, k, axis=1); xp.take_along_axis(x, k[None, :], axis=1)
    """,
    "statistics and utilities": """
        xp.cumulative_sum(v); xp.cumulative_sum(x, axis=1, include_initial=True); xp.cumulative_prod(v, dtype=xp.float32); xp.max(x, axis=0, keepdims=True);
        xp.mean(x, axis=(0, 1)); xp.min(x); xp.prod(i); xp.prod(f, dtype=xp.float64); xp.std(x, axis=1, correction=1.0); xp.sum(u); xp.sum(x, keepdims=True);
        xp.var(x, correction=1); xp.all(b, axis=1); xp.any(b, keepdims=True); xp.diff(x, n=1, axis=1); xp.diff(v, prepend=w, append=w); xp.sum(e, axis=0)
    """,
    "fft": """
        xp.fft.fft(v); xp.fft.fft(f, n=4, axis=1, norm="ortho"); xp.fft.ifft(c); xp.fft.fftn(x, axes=(0,)); xp.fft.ifftn(c, s=(2, 2), axes=(0, 1));
        xp.fft.rfft(x); xp.fft.irfft(c, n=4); xp.fft.rfftn(x); xp.fft.irfftn(c); xp.fft.hfft(c); xp.fft.ihfft(x); xp.fft.fftfreq(5, d=0.5);
        xp.fft.rfftfreq(4, d=1.0, device="cpu"); xp.fft.fftshift(v); xp.fft.ifftshift(x, axes=1)
    """,
    "constants": "xp.e; xp.inf; xp.pi; xp.isnan(xp.nan); xp.newaxis",
    "operators": """
        abs(x); x + y; i & j; x == y; x // y; x >= 0; x > y; ~i; i << j; x <= y; x < 1; x @ s; x % y; x * 2; x != y; -x; i | j; +x; p ** 2;
        i >> j; x - y; x / y; i ^ j; 2 + x; 1 - x; 2 / p; 2 ** i; 7 // p; 7 % p; 1 & i; True | b; 3 << i; x[0]; x[..., 1]; x[None, :, ::-1];
        x[:, xp.newaxis]; x[b];
        s[k[:1], :];
        x[(0, 1)]; x.T; x.mT; x.ndim; x.shape; x.size; x.dtype; x.device; bool(z); float(z); complex(z); int(z); x.to_device("cpu"); [0, 1, 2, 3][i[0, 0]]
    """,
}  # fmt: skip


@pytest.mark.parametrize("group", STANDARD)
def test_each_function_of_the_standard(group: str) -> None:
    ours = {name: nf.asarray(value) for name, value in ARRAYS.items()}
    for expression in [part.strip() for part in STANDARD[group].split(";")]:
        expected = eval(expression, {"xp": np}, ARRAYS)
        made = eval(expression, {"xp": xp}, ours)
        assert_ours(made, expected, expression)
        try:
            compare(plain(made), expected)
        except AssertionError as error:
            raise AssertionError(f"{expression}: {error}") from error


def assert_ours(made: Any, expected: Any, expression: str) -> None:
    """What NumPy has as arrays and scalars are lazy arrays here: in the standard these are 0-d arrays."""
    if isinstance(expected, (tuple, list)):
        for one, other in zip(made, expected, strict=True):
            assert_ours(one, other, expression)
    elif isinstance(expected, (np.ndarray, np.generic)) and "finfo" not in expression:
        assert type(made).__name__ == "Array", f"{expression} is a {type(made)}"
        assert made.__array_namespace__() is xp
        assert made.device == "cpu"


def test_the_namespace_of_an_array() -> None:
    x = nf.asarray(SQUARE)
    for version in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        assert x.__array_namespace__(api_version=version) is xp
    with pytest.raises(ValueError, match="2030"):
        x.__array_namespace__(api_version="2030.12")


def test_what_the_namespace_tells_of_itself() -> None:
    info = xp.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] is True
    assert info.capabilities()["data-dependent shapes"] is True
    assert "cpu" in info.devices() and info.default_device() == xp.zeros(1).device
    for device in info.devices():
        assert info.default_dtypes(device=device)["real floating"] == xp.float64
    dtypes = info.dtypes(kind=("real floating", "complex floating"))
    assert set(dtypes) == {"float32", "float64", "complex64", "complex128"}
    for name, dtype in info.dtypes().items():
        assert xp.zeros(2, dtype=getattr(xp, name)).dtype == dtype


def test_dlpack() -> None:
    x = nf.asarray(SQUARE) * 2
    assert x.__dlpack_device__() == (1, 0)
    assert (np.from_dlpack(x) == SQUARE * 2).all()
    assert (np.from_dlpack(x, copy=True) == SQUARE * 2).all()
    exported = np.from_dlpack(x)
    if exported.flags.writeable:  # then it is a copy
        exported[0] = 7
    assert (x.numpy() == SQUARE * 2).all()
    back = xp.from_dlpack(SQUARE)
    assert type(back) is type(x) and (back.numpy() == SQUARE).all()
    with pytest.raises(ValueError, match="stream"):
        x.__dlpack__(stream=1)
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))


def test_devices() -> None:
    x = nf.asarray(SQUARE)
    assert x.to_device("cpu") is x
    assert xp.asarray(x, device="cpu") is x
    with pytest.raises(ValueError, match="unknown device"):
        x.to_device("tpu")
    with pytest.raises(ValueError, match="unknown device"):
        xp.zeros(3, device="tpu")


def test_copies_that_are_refused() -> None:
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x, copy=False) is x
    with pytest.raises(ValueError):
        xp.asarray(x, dtype=xp.float32, copy=False)
    with pytest.raises(ValueError):
        xp.asarray(np.ones(3), copy=False)
    assert xp.asarray(x, copy=True) is not x


def test_every_name_of_numpys_namespace_is_there() -> None:
    for name in [*np.__all__, "linalg", "fft", "random"]:
        assert hasattr(xp, name), name
    for module in ("linalg", "fft", "random"):
        for name in getattr(np, module).__all__:
            assert hasattr(getattr(xp, module), name), name
    assert set(np.__all__) <= set(dir(xp))
    assert not hasattr(xp, "no_such_name")


def test_random_functions_give_lazy_arrays() -> None:
    xp.random.seed(3)
    made = xp.random.normal(size=(3, 2)) + 1
    np.random.seed(3)
    assert (made.numpy() == np.random.normal(size=(3, 2)) + 1).all()
    xp.random.seed(3)
    xp.random.shuffle(made)
    assert made.shape == (3, 2)
    xp.random.seed(3)
    np.random.seed(3)
    x, y = xp.arange(10), np.arange(10)
    xp.random.shuffle(x)
    np.random.seed(3)
    np.random.shuffle(y)
    assert (x.numpy() == y).all()


def test_ufuncs_of_plain_values() -> None:
    compare(plain(xp.add([1, 2], 3)), np.add([1, 2], 3))
    compare(plain(xp.add(np.ones(2), np.ones(2))), np.full(2, 2.0))
    compare(plain(xp.sin(0.5)), np.sin(0.5))
    compare(plain(xp.add.reduce([1, 2, 3])), np.add.reduce([1, 2, 3]))
    compare(plain(xp.multiply.outer([1, 2], [3.0, 4.0])), np.multiply.outer([1, 2], [3.0, 4.0]))
    target = np.zeros(2)
    assert xp.add(np.ones(2), 1, out=target) is target and (target == 2).all()
    assert isinstance(xp.add, np.ufunc) and xp.add.nin == 2 and xp.sum is xp.sum
    assert xp.mgrid[0:2, 0:3].shape == (2, 2, 3) and type(xp.r_[1, 2:4]) is type(xp.zeros(1))
    assert xp.array(["a", "b"]).dtype.kind == "U"
    with pytest.raises(nf.UnsupportedDtype):
        nf.asarray(["a"])


def test_what_the_standard_has_and_numpy_has_not() -> None:
    values = np.array([[3, 1, 2, 1], [0, 5, 5, 4]])
    x = xp.asarray(values)
    assert (xp.sort(x, descending=True).numpy() == -np.sort(-values)).all()
    assert (xp.sort(x, axis=0, descending=True).numpy() == -np.sort(-values, axis=0)).all()
    assert (xp.argsort(x, descending=True, stable=True).numpy() == np.argsort(-values, stable=True)).all()
    with listening() as ran:
        plain(xp.clip(x, 2) + 1)
    assert [len(lowered.kernels) for lowered in ran] == [1]
    assert (xp.clip(x, 2).numpy() == np.maximum(values, 2)).all()
    assert (xp.clip(x, max=2).numpy() == np.minimum(values, 2)).all()
    assert (xp.clip(x).numpy() == values).all()
    assert xp.finfo(xp.zeros(2, dtype=xp.float32)).bits == 32 and xp.iinfo(x).bits == 64
