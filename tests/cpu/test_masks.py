"""Masks that the function makes of plain arrays are constants, however many; those that outlive it are read anew at each call."""

from __future__ import annotations

from unittest import mock

import numpy as np
from numfuse.compiler.trace import recorder

import numfuse as nf

KEPT: list[np.ndarray] = []
LASTING = np.arange(12) % 3 == 0


def test_many_of_them_are_looked_for_once() -> None:
    def steps(u):
        inside = np.ones(12, bool)
        inside[0] = False
        for k in range(25):
            edge = np.zeros(12, bool)
            edge[k % 12] = True
            u[~inside] = 0
            u[edge] += k
            u[inside] *= 0.5
        return u[inside].sum(), u

    looked = mock.Mock(side_effect=recorder.is_temporary)
    with mock.patch.object(recorder, "is_temporary", looked):
        got = nf.jit(steps)(np.ones(12))
    assert looked.call_count <= 10 * recorder.LOOKED_FOR  # it asks the same of the holders
    for one, other in zip(got, steps(np.ones(12)), strict=True):
        np.testing.assert_allclose(one, other)


def test_a_global_mask_is_read_at_each_call() -> None:
    def steps(u):
        for _ in range(20):
            temporary = np.arange(12) > 3
            u[temporary] += 1
            u[LASTING] = 0
        return u

    function = nf.jit(steps)
    for _ in range(3):
        np.testing.assert_array_equal(function(np.ones(12)), steps(np.ones(12)))
        LASTING[:] = np.roll(LASTING, 1)


def test_a_mask_that_is_made_once_and_kept() -> None:
    """Too late to be asked at once: it is found at the end, and the function traced again."""

    def steps(u):
        for k in range(20):
            u[np.arange(12) > k % 7] += 1
        if not KEPT:
            KEPT.append(np.arange(12) % 2 == 0)
        u[KEPT[0]] = 0
        u[KEPT[0][::-1]] += 2
        return u

    function = nf.jit(steps)
    for _ in range(3):
        np.testing.assert_array_equal(function(np.ones(12)), steps(np.ones(12)))
        KEPT[0][:] = np.roll(KEPT[0], 1)
        KEPT[0][3] = True
