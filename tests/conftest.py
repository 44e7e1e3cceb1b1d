"""What all tests share: a kernel cache of their own, the skip of what the machine lacks, and `--update-golden`."""

from __future__ import annotations

import importlib.util
import os
import warnings

import numpy as np
import pytest

SIMULATING = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"

try:
    import hypothesis
except ImportError:  # `make gpu-check` makes do with what the machine has, and runs tests/gpu alone
    pass
else:
    hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden kernels anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from numfuse.runtime.cuda.driver import device_count, missing_packages

    lacking = missing_packages()
    no_cuda = f"needs the cuda extra: {', '.join(lacking)} not installed" if lacking else ""
    no_gpu = no_cuda or ("" if device_count() else "needs a CUDA device: none here")
    no_simulator = "" if SIMULATING else "needs NUMBA_ENABLE_CUDASIM=1 (make test runs these apart)"
    only_simulator = "this process runs the simulator, which compiles nothing" if SIMULATING else ""
    if importlib.util.find_spec("numba_cuda") is None:
        no_simulator = no_cuda
    reasons = {"gpu": no_gpu or only_simulator, "cuda": no_cuda or only_simulator, "simulator": no_simulator}
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker) and reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kernels of the tests go to a folder that is gone afterwards; the user's cache is not touched."""
    from numfuse.runtime import cache

    os.environ["NUMFUSE_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    cache._default = None


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture(autouse=True)
def quiet_numpy() -> object:
    """The tests compare with NumPy on purpose where it warns."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
