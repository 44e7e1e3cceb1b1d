"""A walk over the public names of np, np.linalg, np.fft and ndarray: called with plain arguments, each is right or a clear error, and never silently wrong
or frozen: a function that was traced with some arrays is right for others too. The graphs run with NumPy; kernels are tested elsewhere."""

from __future__ import annotations

import contextlib
import inspect
import io
import linecache
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.trace.errors import TraceError
from numfuse.compiler.types import UnsupportedDtype

import numfuse as nf
from tests.fuzz.backends import graph_device

MOST_SETS = 6
SEEDS = (1, 2, 3)
WRONG_IN_NUMPY = {"(b).choose(x, y)"}
"""`out=` with choices that broadcast: NumPy 2.4 gives what it does not give without `out`."""
GENERIC = (
    "x", "x, y", "v", "v, w", "m", "i", "i, i", "b", "b, x, y", "v, 1", "v, 2", "j, j", "[x, y]", "[v, w]", "v, w, q", "x, (4, 5)", "c", "m, v[:3]",
    "x, x > 0", "v, q, w", "'i,i->', v, w", "x, 0, 1", "x.shape, v", "(i, i), (5, 5)", "x, [x > 0], [1, 2]",
    "x, i[:, None], 1", "m.T @ m", "x, k", "v, k", "k", "p",
)  # fmt: skip
"""Tried in turn with NumPy; the first few that it takes are tested."""
OWN: dict[str, tuple[str, ...]] = {
    "np.apply_along_axis": ("np.sum, 0, x", "lambda r: r * 2, 1, x"),
    "np.apply_over_axes": ("np.sum, x, (0, 1)",),
    "np.astype": ("x, 'f4'",),
    "np.put_along_axis": ("x, i[None, :] * 0, 1, 0",),
    "np.dsplit": ("x.reshape(2, 2, 5), [1]",),
    "np.polyfit": ("v, w, 2",),
    "np.eye": ("3", "k"),
    "np.arange": ("5", "k", "0, p, 0.1"),
    "np.identity": ("3", "k"),
    "np.tri": ("3", "k"),
    "np.fromfunction": ("lambda r, s: r + s, (3, 4)",),
    "np.linalg.matrix_power": ("m, 2", "m, k"),
    "np.linalg.tensorinv": ("x[:, :4].reshape(2, 2, 2, 2) + np.eye(4).reshape(2, 2, 2, 2), 2",),
    "np.unpackbits": ("j.astype('u1')",),
    "np.fft.fftfreq": ("5", "5, p"),
    "np.fft.rfftfreq": ("5", "5, p"),
    "np.fromiter": ("v, 'f8'",),
    "np.can_cast": ("x, 'f4'", "'f4', 'f8'"),
    "np.issubdtype": ("x.dtype, np.floating",),
    "np.isdtype": ("x.dtype, 'real floating'",),
    "np.promote_types": ("x.dtype, 'f4'",),
    "np.bartlett": ("5", "k"),
    "np.blackman": ("5", "k"),
    "np.hamming": ("5", "k"),
    "np.hanning": ("5", "k"),
    "np.kaiser": ("5, 2.0", "5, p"),
    "np.tril_indices": ("3",),
    "np.triu_indices": ("3",),
    "np.diag_indices": ("3",),
    "np.mask_indices": ("3, np.triu",),
    "np.savetxt": ("io.StringIO(), x",),
    "np.save": ("io.BytesIO(), x",),
    "np.base_repr": ("5", "k"),
    "np.binary_repr": ("5", "k"),
    "np.format_float_positional": ("p", "v[0]"),
    "np.format_float_scientific": ("p", "v[0]"),
    "np.typename": ("'d'",),
    "np.isnat": (),
    "np.frompyfunc": ("abs, 1, 1)(v",),
    "np.vectorize": ("lambda a: a + 1)(v",),
    "np.savez": ("io.BytesIO(), x",),
    "np.savez_compressed": ("io.BytesIO(), x",),
    "np.nditer": ("x).shape, (1",),
    "np.ndindex": ("2, 3",),
    "np.ndenumerate": ("x).iter.base, (1",),
    "np.broadcast": ("x, v).shape, (1",),
    "np.nested_iters": ("x, [[0], [1]])[0].shape, (1",),
    "ndarray.astype": ("x; 'f4'",),
    "ndarray.setfield": ("x; 1.0, 'f8'",),
    "ndarray.dump": ("x; io.BytesIO()",),
    "ndarray.tofile": (),
    "ndarray.getfield": ("x; 'f8'",),
    "ndarray.to_device": ("x; 'cpu'",),
    "np.bincount": ("i", "i, None, 9", "i, v, 9"),
    "np.linalg.eig": ("m", "m + 0j"),
    "np.linalg.eigvals": ("m", "m + 0j"),
    "np.indices": ("(2, 3)",),
    "np.vecmat": ("v[:3], m",),
    "np.matvec": ("m, v[:3]",),
}
"""Arguments of functions that take none of the generic ones, or write files; of a method, the array stands before a semicolon."""
OUT_OF_SCOPE = {
    "settings and information": "errstate geterr geterrcall getbufsize get_printoptions printoptions set_printoptions setbufsize seterr seterrcall"
    " show_config show_runtime info get_include test",
    "text and files": "datetime_as_string datetime_data fromfile fromregex fromstring genfromtxt load loadtxt isnat memmap DataSource",
    "values that nobody wrote": "empty empty_like",
    "other libraries' memory": "frombuffer from_dlpack",
    "other kinds of arrays": "bmat chararray matrix recarray record nested_iters asmatrix char rec busday_count busday_offset is_busday busdaycalendar",
    "dtypes and classes": "dtype ndarray ufunc finfo iinfo flatiter poly1d nditer broadcast ndindex ndenumerate",
}
SKIPPED = {name for names in OUT_OF_SCOPE.values() for name in names.split()}


def public() -> Iterator[str]:
    for prefix, module in (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)):
        for name in dir(module):
            value = getattr(module, name)
            scalar_type = isinstance(value, type)
            if (
                not name.startswith("_")
                and callable(value)
                and not inspect.ismodule(value)
                and not scalar_type
                and name not in SKIPPED
            ):
                yield f"{prefix}.{name}"
    yield from (
        f"ndarray.{name}"
        for name in dir(np.ndarray)
        if not name.startswith("_") and callable(getattr(np.ndarray, name))
    )


def values(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((4, 5)),
        "y": rng.standard_normal((4, 5)),
        "v": rng.standard_normal(5),
        "w": rng.standard_normal(5),
        "m": rng.standard_normal((3, 3)) + 3 * np.eye(3),
        "i": rng.integers(0, 4, 5),
        "j": rng.integers(1, 9, (4, 5)),
        "b": rng.random((4, 5)) > 0.5,
        "c": rng.standard_normal(5) + 1j * rng.standard_normal(5),
        "q": rng.random(5).cumsum(),
        "k": 3,
        "p": rng.random(),
    }


def calls_of(name: str) -> list[str]:
    """The calls of a function that NumPy takes."""
    if name.startswith("ndarray."):
        method = name.removeprefix("ndarray.")
        generic = [
            f"{text.split(', ')[0]}; {', '.join(text.split(', ')[1:])}"
            for text in GENERIC
            if text[0] not in "'[(" and text not in ("k", "p")
        ]
        texts = [
            f"({array}).{method}({rest.strip()})"
            for array, rest in (text.split(";") for text in OWN.get(name, generic))
        ]
    else:
        texts = [f"{name}({text})" for text in OWN.get(name, GENERIC)]
    taken = []
    for text in dict.fromkeys(texts):
        try:
            for seed in SEEDS:
                run(function_of(text), values(seed))
        except Exception:
            continue
        if text not in WRONG_IN_NUMPY:
            taken.append(text)
    return taken[:MOST_SETS]


def function_of(call: str) -> Callable[..., Any]:
    """The call as a function of the values that it names."""
    used = [name for name in values(0) if re.search(rf"(?<![\w.'\"]){name}(?![\w'\"(])", call)]
    source, file = f"def f({', '.join(used)}):\n    return {call}\n", f"<call {call}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {"np": np, "io": io, "__name__": "user"}
    exec(compile(source, file, "exec"), scope)
    return scope["f"]


def run(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(**{name: given[name] for name in inspect.signature(function).parameters})


def differ(got: Any, wanted: Any) -> str:
    if isinstance(wanted, (tuple, list)):
        if type(got) is not type(wanted) or len(got) != len(wanted):
            return f"{type(got).__name__} is not {type(wanted).__name__} of {len(wanted)}"
        return next((told for told in map(differ, got, wanted) if told), "")
    if type(got) is not type(wanted):
        return f"{type(got).__name__} is not {type(wanted).__name__}"
    if not isinstance(wanted, (np.ndarray, np.generic)):
        return (
            ""
            if callable(wanted) or got == wanted or (got != got and wanted != wanted)
            else f"{got!r} is not {wanted!r}"
        )
    if (got.dtype, got.shape) != (wanted.dtype, wanted.shape):
        return f"{got.dtype}{got.shape} is not {wanted.dtype}{wanted.shape}"
    close = (
        np.allclose(got, wanted, rtol=1e-9, atol=1e-11, equal_nan=True)
        if wanted.dtype.kind in "fc"
        else np.array_equal(got, wanted)
    )
    return "" if close else "other values"


def wrong(call: str) -> str:
    """What is wrong with a call; empty where it is right, or refused with an error that shows the function."""
    function = nf.jit(function_of(call), target="cpu")
    for seed in SEEDS:
        ours, theirs = values(seed), values(seed)
        wanted = run(function_of(call), theirs)
        try:
            with graph_device():
                got = run(function, ours)
        except (TraceError, UnsupportedDtype) as error:
            name = re.match(r"[\w.]+|\((.*)\)\.\w+", call)
            return (
                ""
                if name and name[0].split(".")[-1] in str(error)
                else f"the error does not show the function: {error}"
            )
        except Exception as error:
            return f"{error!r}"
        told = differ(got, wanted) or differ(list(ours.values()), list(theirs.values()))
        if told:
            return f"{told} (with the values {seed})"
    return ""


@pytest.mark.parametrize("name", sorted(public()))
def test_right_or_a_clear_error(name: str) -> None:
    calls = calls_of(name)
    assert calls or OWN.get(name) == (), f"no arguments for {name}: add some to OWN, or its name to OUT_OF_SCOPE"
    found = {call: told for call in calls if (told := wrong(call))}
    assert not found, "\n".join(f"{call}: {told}" for call, told in found.items())


def test_the_support_table_lists_every_name() -> None:
    page = (Path(__file__).parents[2] / "docs" / "support.md").read_text()
    if f"NumPy {np.__version__}." not in page:
        pytest.skip("docs/support.md was written with another NumPy")
    listed = re.findall(r"^\| `([\w.]+)` \|", page, re.M)
    assert set(public()) <= set(listed) and len(listed) == len(set(listed))
