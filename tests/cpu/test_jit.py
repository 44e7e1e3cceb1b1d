"""jit as users call it: what goes in and out, writes, aliasing, methods, scalars, options."""

from __future__ import annotations

import copy
import dataclasses
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close

X = np.random.default_rng(0).standard_normal((7, 5))
F = X.astype("f4")
I = (X * 20).astype("i4")  # noqa: E741
Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Layer:
    weight: Any
    rate: float


def grow(layer, x):
    layer.weight = layer.weight * layer.rate
    layer.rate = layer.rate + 1
    return x + layer.weight


def set_keys(d):
    d["a"] = d["a"] + 1
    d["new"] = d["a"] * 2


def extend(items):
    items[0] = items[0] + items[1]
    items.append(items[0] * 2)


def in_place(x):
    x += 1


def shifted(x):
    x[1:] = x[:-1]
    return x.sum()


def sown(x):
    def sow(x, y):
        y.fill(0)
        x[1:] = x[:-1]
        return y[y != 0].max()

    return nf.jit(sow)(x, x[1:])


def halves(x):
    a, b = x[:3], x[3:6]
    a[...] = b
    b *= 2
    return a


CALLS = {
    "one array": (lambda x: x * 2, (X,)),
    "identity": (lambda x: x, (X,)),
    "a view": (lambda x: x[1:, ::-1], (X,)),
    "nothing": (lambda x: None, (X,)),
    "a constant": (lambda x: (3, "text", np.ones(2)), (X,)),
    "nested": (lambda d, s: {"a": d["w"] * 2, "b": [s[0] + 1, (s[1], 3)]}, ({"w": X, "b": 2}, [X, F])),
    "named tuple": (lambda p: Point(p.y, p.x + 1), (Point(X, F),)),
    "dataclass": (grow, (Layer(X, 2.0), X)),
    "dict that grows": (set_keys, ({"a": X},)),
    "list that grows": (extend, ([X, X],)),
    "in place": (in_place, (X,)),
    "overlapping write": (shifted, (X,)),
    "a trace that fails where arguments do not overlap": (sown, (F,)),
    "writes through two views": (halves, (X,)),
    "out": (lambda x, y: np.add(x, 1, out=y), (X, X)),
    "out of another dtype": (lambda x, y: np.multiply(x, 2, out=y), (F, X)),
    "Python numbers": (lambda x, s, n: x * s + n, (F, 2.5, 3)),
    "numbers alone": (lambda s, n: (s * 2, n // 2, n + 1.5, -n, n % 3, n > 2), (1.5, 7)),
    "complex number": (lambda x, z: x * z, (X, 1 + 2j)),
    "flag": (lambda x, up: x + 1 if up else x - 1, (X, True)),
    "text": (lambda x, how: x.sum() if how == "sum" else x, (X, "sum")),
    "none": (lambda x, y: x if y is None else x + y, (X, None)),
    "NumPy scalar": (lambda x, s: x * s, (F, np.float64(2))),
    "0-d array": (lambda x, s: (x * s, s + 1, s), (F, np.array(2.0))),
    "scalar result": (lambda x: (x.sum(), x[0, 0], x.max(0)[1]), (X,)),
    "two views of one result": (lambda x: (lambda y: (y, y[1:]))(x + 1), (X,)),
    "same array twice": (lambda a, b: a + b, (X, X)),
    "strided": (lambda x: x + 1, (X[::2, ::-1],)),
    "Fortran": (lambda x: x.sum(0) + x[1], (np.asfortranarray(X),)),
    "big endian": (lambda x: x * 2, (X.astype(">f8"),)),
    "field of a record": (lambda x: x * 2, (np.array([(1, 2.5), (3, 4.5)], "i1,f8")["f1"],)),
    "unaligned": (lambda x: x * 2, (np.frombuffer(b"\0" + X.tobytes(), "f8", X.size, 1),)),
    "broadcast argument": (lambda x: x + 1, (np.broadcast_to(X[0], (7, 5)),)),
    "read-only": (lambda x: x + 1, (np.frombuffer(X.tobytes(), "f8"),)),
    "matmul": (lambda a, b: np.maximum(a @ b.T, 0) + 1, (F, F)),
    "matvec": (lambda a, b: (a @ b, b @ a.T, np.dot(b, b)), (X, X[0])),
    "tensordot": (lambda a: (np.tensordot(a, a, ([0], [0])), np.outer(a[0], a[1]), np.inner(a, a)), (X,)),
    "integers": (lambda a, b: (a + b, a / b, a // 3, a % 7, a > b, a**2, ~a, a << 2, a >> 1), (I, I + 1)),
    "argmax": (lambda x: (x.argmax(), x.argmin(1), np.argmax(x, axis=0, keepdims=True)), (X,)),
    "means": (lambda x: (x.mean(), x.mean(0), x.var(1, ddof=1), x.std(keepdims=True)), (F,)),
    "half": (lambda x: (x * 2 + 1, np.exp(x), x.sum(), x.mean(), x.astype("f4")), (F.astype("f2"),)),
    "complex": (
        lambda z: (z * z, abs(z), z.conj(), z.real + z.imag, np.exp(z), z.sum()),
        ((X + 1j * X[::-1]).astype("c8"),),
    ),
    "several outputs of a ufunc": (lambda x: (np.modf(x), np.frexp(x), divmod(x, 3.0)), (X,)),
    "empty": (lambda x: (x * 2, x.sum(), x.sum(1), x.any()), (np.zeros((0, 3)),)),
    "pad and roll": (
        lambda x: (np.pad(x, ((1, 2), (0, 3)), constant_values=2), np.roll(x, 2, 0), np.pad(x, 2, mode="reflect")),
        (X,),
    ),
    "join and split": (lambda x: (np.concatenate([x, x * 2], 1), np.stack([x, x + 1], -1), np.split(x, [2, 4])), (X,)),
    "where and clip": (lambda x: (np.where(x > 0, x, 0), np.clip(x, -0.5, 0.5), np.nan_to_num(x / 0)), (F,)),
    "reductions with where and initial": (
        lambda x: (np.sum(x, where=x > 0), np.max(x, initial=0.0, axis=1), np.nansum(x)),
        (X,),
    ),
    "loop over rows": (lambda x: [row * 2 for row in x], (X,)),
    "unpacking": (lambda x: (lambda a, b, c: a + b * c)(*x), (X[:3],)),
    "mask write": (lambda x: x.__setitem__(x > 0, 0) or x * 1, (X.copy(),)),
}


def equal(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted), (type(got), type(wanted))
    if isinstance(wanted, dict):
        assert list(got) == list(wanted)
        equal(list(got.values()), list(wanted.values()))
    elif isinstance(wanted, (list, tuple)):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            equal(one, other)
    elif isinstance(wanted, (np.ndarray, np.generic)):
        close(got, wanted)
    elif dataclasses.is_dataclass(wanted):
        equal(vars(got), vars(wanted))
    else:
        assert got == wanted


@pytest.mark.parametrize("name", CALLS)
def test_as_numpy(name: str) -> None:
    function, arguments = CALLS[name]
    jitted = nf.jit(function, target="cpu")
    theirs = copy.deepcopy(arguments)
    wanted = function(*theirs)
    for _ in range(2):
        ours = copy.deepcopy(arguments)
        equal(jitted(*ours), wanted)
        equal(ours, theirs)


def test_results_that_numpy_makes_while_tracing_share_memory_as_its_do() -> None:
    def transposed() -> tuple[np.ndarray, np.ndarray]:
        made = np.identity(3) + 1
        return made.T, made

    one, other = nf.jit(transposed)()
    assert np.shares_memory(one, other) and one.strides == other.T.strides


def test_aliasing_is_numpys() -> None:
    x = X.copy()
    assert nf.jit(lambda x: x)(x) is x
    assert np.shares_memory(nf.jit(lambda x: x.T[1:])(x), x)
    assert not np.shares_memory(nf.jit(lambda x: x.copy())(x), x)
    whole, part = nf.jit(lambda x: (lambda y: (y, y[1:3]))(x * 2))(x)
    assert np.shares_memory(whole, part)
    for first, second in (
        nf.jit(lambda x: (x + 1, x + 1))(x),
        nf.jit(lambda x: (lambda y: (y, y.copy()))(x + 1))(x),
        nf.jit(lambda x: (lambda y: (y, y.T.copy()))(x + 1))(x),
        nf.jit(lambda x: (x.copy(), x.T.copy()))(x),
    ):
        assert (
            not np.shares_memory(first, second) and not np.shares_memory(first, x) and not np.shares_memory(second, x)
        )
    y = X.copy()
    assert nf.jit(lambda x, y: np.add(x, 1, out=y))(x, y) is y


def test_arguments_that_share_memory() -> None:
    def f(a, b):
        a += b
        b *= 2
        return a.sum()

    ours, theirs = np.arange(10.0), np.arange(10.0)
    close(nf.jit(f)(ours[1:], ours[:-1]), f(theirs[1:], theirs[:-1]))
    close(ours, theirs)


def test_read_only_arguments_are_not_written_to() -> None:
    frozen = np.frombuffer(X.tobytes(), "f8")
    with pytest.raises(ValueError, match="read-only"):
        nf.jit(in_place)(frozen)


class Model:
    def __init__(self) -> None:
        self.weight, self.scale, self.name = X.copy(), 3.0, "model"

    @nf.jit
    def step(self, x):
        self.scale = self.scale + 1
        return x * self.weight + self.scale


def test_methods_read_and_set_attributes() -> None:
    model = Model()
    close(model.step(X), X * X + 4.0)
    close(model.step(X), X * X + 5.0)
    model.scale, model.weight = 0.0, X * 2
    close(model.step(X), X * X * 2 + 1.0)
    assert isinstance(model.scale, float) and model.name == "model"


def test_bare_with_arguments_and_as_a_call() -> None:
    @nf.jit
    def f(x):
        "A docstring."
        return x + 1

    assert f.__name__ == "f" and f.__doc__ == "A docstring."
    close(nf.jit(target="cpu")(lambda x: x + 1)(X), f(X))
    close(nf.jit(f)(X), f(X))
    with pytest.raises(ValueError, match="unknown target 'tpu'"):
        nf.jit(f, target="tpu")
    with pytest.raises(TypeError, match="takes a function"):
        nf.jit(3)


def test_jit_within_jit_and_plain_functions_within() -> None:
    inner = nf.jit(lambda x: x * 2)
    outer = nf.jit(lambda x: inner(x) + 1)
    close(outer(X), X * 2 + 1)
    assert len(outer.lower(X, target="cpu").kernels) == 1


def test_donated_arguments_give_their_memory() -> None:
    f = nf.jit(lambda x, y: np.tanh(x) * 2 + y, donate="x")
    x, y = X.copy(), X.copy()
    wanted = np.tanh(x) * 2 + y
    result = f(x, y)
    close(result, wanted)
    assert np.shares_memory(result, x) and not np.shares_memory(result, y)
    reverse = nf.jit(lambda x: x[::-1] + x, donate=("x",))
    x = X.copy()
    wanted = x[::-1] + x
    close(reverse(x), wanted)


def test_a_donated_argument_that_is_read_through_a_view_later_on_is_kept() -> None:
    def function(x):
        v = x[::-1, ::2]
        a = np.sort(v, axis=0)
        return x + a[0, 0] + 1, a, np.cumsum(v, axis=0)

    x = np.arange(48.0).reshape(6, 8)
    for got, wanted in zip(nf.jit(function, donate="x")(x.copy()), function(x), strict=True):
        close(got, wanted)


def test_arguments_may_be_called_as_what_kernels_call() -> None:
    def function(opaque, fold_add, local, maximum, fill_1):
        return (
            opaque.max(where=fold_add > 0.5, initial=-1)
            + (local * maximum).sum()
            + fill_1.max(where=opaque > 0.2, initial=0)
        )

    close(nf.jit(function)(X, X + 0.1, X + 0.2, X + 0.3, X + 0.4), function(X, X + 0.1, X + 0.2, X + 0.3, X + 0.4))


def test_fastmath_is_an_option() -> None:
    x = np.random.default_rng(0).random(1000).astype("f4")
    close(nf.jit(lambda x: (x + 1) * (x - 1), fastmath=True)(x), (x + 1) * (x - 1))


def test_the_jit_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMFUSE_DISABLE_JIT", "1")
    seen = []
    nf.jit(lambda x: seen.append(type(x)))(X)
    assert seen == [np.ndarray]


def test_stages() -> None:
    f = nf.jit(lambda x: np.tanh(x).sum(1))
    traced = f.trace(nf.spec("f4", 7, 5))
    assert "tanh" in traced.as_text()
    lowered = traced.lower(target="cpu")
    (kernel,) = lowered.kernels
    assert kernel.name in lowered.as_text() and "tanh" in kernel.source and lowered.library_calls == []
    with pytest.raises(AttributeError, match="target='cuda'"):
        _ = kernel.ptx
    compiled = lowered.compile()
    close(compiled(F), np.tanh(F).sum(1))
    assert compiled.cost_analysis()["bytes"] == F.nbytes + 7 * 4 and compiled.cost_analysis()["kernels"][0]["flops"] > 0
    assert compiled.memory_analysis() == {
        "arguments": 140,
        "results": 28,
        "constants": 0,
        "library": 0,
        "workspace": 0,
        "donated": 0,
        "peak": 168,
    }
    assert "vmov" in compiled.as_text() or len(compiled.as_text()) > 100
    with pytest.raises(TypeError, match="compiled for"):
        compiled(X)
    with pytest.raises(TypeError, match="another structure"):
        compiled(F, F)


def test_subclasses_and_strange_dtypes_are_refused_by_name() -> None:
    f = nf.jit(lambda x: x + 1)
    with pytest.raises(TypeError, match="MaskedArray"):
        f(np.ma.masked_array([1.0, 2.0], [True, False]))
    for dtype in ("O", "U3", "M8[s]", "g"):
        with pytest.raises(nf.UnsupportedDtype, match="is not supported"):
            f(np.zeros(2, dtype))


def test_calls_from_several_threads() -> None:
    f = nf.jit(lambda x, y: (np.tanh(x) @ np.ones((300, 20))).sum(0) + (x * y).sum())
    x = np.random.default_rng(0).random((3000, 300))
    wanted = f.function(x, x)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: f(x, x), range(32)):
            np.testing.assert_allclose(result, wanted, rtol=1e-12)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from numfuse.runtime.cpu import pieces

    x = np.random.default_rng(0).random(1_000_000).astype("f4")
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(pieces, "thread_count", lambda threads=threads: threads)
        results.append(nf.jit(lambda x: (x * x).sum())(x))
    assert results[0] == results[1] == results[2]


def test_arrays_of_other_libraries_are_taken() -> None:
    class Other:
        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __dlpack__(self, **kwargs: Any) -> Any:
            return self.array.__dlpack__(**kwargs)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.array.__dlpack_device__()

    close(nf.jit(lambda x: x + 1)(Other(X.copy())), X + 1)


def half(x: Any) -> Any:
    return x * np.float16(0.5)


def stream(x: Any) -> Any:
    return x + 1


@pytest.mark.parametrize("function", [half, stream])
def test_a_function_named_as_one_that_kernels_call(function: Any) -> None:
    x = np.arange(1000, dtype="f2")
    np.testing.assert_array_equal(nf.jit(function, schedule=nf.Schedule(stream=True))(x), function(x))
