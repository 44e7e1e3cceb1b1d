"""Schedules forced by hand and found by measuring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.schedule import CPU_CHOICES
from numfuse.runtime import cache

import numfuse as nf

X = np.random.default_rng(0).random((300, 200)).astype("f4")


def function(x: np.ndarray) -> tuple[np.ndarray, ...]:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), (x - x.mean(0)) / x.std(0), np.tanh(x) * x, (x * x).sum()


@pytest.mark.parametrize("schedule", CPU_CHOICES, ids=str)
def test_any_schedule_gives_the_same(schedule: nf.Schedule) -> None:
    for got, wanted in zip(nf.jit(function, schedule=schedule)(X), function(X), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=5e-6)


def test_what_is_not_there_is_not_kept() -> None:
    def least(x: np.ndarray) -> np.ndarray:
        result = np.zeros(4)
        result[1:3] = np.take_along_axis(x, x.argmax(-1, keepdims=True), -1).any()
        return result

    assert not nf.jit(least, schedule=nf.Schedule(kept=True))(np.zeros((0, 3), "i1")).any()


def test_a_schedule_is_in_the_source() -> None:
    lowered = nf.jit(lambda x: x.sum(0), schedule=nf.Schedule(lanes=16)).lower(nf.spec("f4", 300, 200))
    assert "local(16, float32)" in lowered.as_text()
    assert "(lanes=16)" in lowered.explain()


@pytest.mark.parametrize("wrong", [{"vector": 3}, {"team": 48}, {"block": 100}, {"lanes": -1}, {"pieces": 0.5}])
def test_what_a_schedule_may_not_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"Schedule\\({next(iter(wrong))}="):
        nf.Schedule(**wrong)


def test_tuning_keeps_what_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_default", cache.DiskCache(tmp_path))
    x = X.copy()

    def in_place(x: np.ndarray) -> np.ndarray:
        x += 1
        return x.sum(0)

    tuned = nf.jit(in_place, autotune=5)
    np.testing.assert_allclose(tuned(x), (X + 1).sum(0), rtol=1e-5)
    np.testing.assert_array_equal(x, X + 1)  # measuring wrote to copies
    kept = [entry for entry in cache.disk_cache().entries() if entry.target == "schedule"]
    assert len(kept) == len(tuned.lower(x).kernels)
    for entry in kept:
        nf.Schedule(**json.loads(cache.disk_cache().load(entry.key) or b""))


def test_what_was_found_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from numfuse.compiler import tuning

    monkeypatch.setattr(cache, "_default", cache.DiskCache(tmp_path))
    tuned = nf.jit(lambda x: x.sum(0), autotune=True)
    (kernel,) = tuned.lower(X).program.kernels
    cache.disk_cache().store(tuning._key(tuned.lower(X), kernel), b'{"lanes": 16}', "sum", "schedule")
    monkeypatch.setattr(tuning, "_measured", lambda *_: pytest.fail("it was measured again"))
    np.testing.assert_allclose(tuned(X), X.sum(0), rtol=1e-5)
    assert "(lanes=16)" in tuned.lower(X).explain()


def test_no_time_to_tune_is_the_models_choice() -> None:
    tuned = nf.jit(lambda x: np.tanh(x).sum(0), autotune=1e-9)
    np.testing.assert_allclose(tuned(X), np.tanh(X).sum(0), rtol=1e-5)


def test_measuring_draws_from_no_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_default", cache.DiskCache(tmp_path))

    def function(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
        return x + rng.random(x.shape)

    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    plain = nf.jit(function)
    plain.lower(rng, X).compile().roofline(rng, X)
    assert rng.bit_generator.state == other.bit_generator.state
    np.testing.assert_array_equal(nf.jit(function, autotune=5)(rng, X), plain(other, X))


@pytest.mark.parametrize("function", [lambda x, v: (x * v[:, None]).sum(0), lambda x, v: v @ x])
def test_columns_are_added_side_by_side(function: Any) -> None:
    """A vector that all columns read alike does not make them lie apart."""
    x, v = np.random.default_rng(0).standard_normal((80, 50)), np.arange(80.0)
    jitted = nf.jit(function, target="cpu")
    assert "for lane in range" in jitted.lower(x, v).kernels[0].code
    np.testing.assert_allclose(jitted(x, v), function(x, v), rtol=1e-12)
