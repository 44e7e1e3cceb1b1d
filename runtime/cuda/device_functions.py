"""Device functions that compile without a device.

Numba compiles a device function for the current GPU. Here the architecture is the one that the kernel is compiled for, so that no GPU and no
driver are needed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from numba.cuda import dispatcher

_lock = threading.RLock()


def compiled(function: Any) -> Any:
    """A device function, inlined where it is called."""
    options = {
        "device": True,
        "debug": False,
        "lineinfo": False,
        "opt": True,
        "fastmath": False,
        "forceinline": False,
        "inline": "never",
    }
    return dispatcher.CUDADispatcher(function, targetoptions=options)


@contextmanager
def for_capability(capability: tuple[int, int]) -> Iterator[None]:
    """Device functions that are compiled within are compiled for this compute capability."""
    with _lock:
        before = dispatcher.get_current_device
        dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
        try:
            yield
        finally:
            dispatcher.get_current_device = before
