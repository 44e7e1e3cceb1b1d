"""Checks numfuse on a machine with an NVIDIA GPU: installs it where it is missing, runs the GPU tests, measures, writes a report.

Needs no network. Peers (torch, jax, cupy) are measured where they are installed and find the GPU.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
from gpu_goals import goals_of
from gpu_report import cells, first_line, geometric_means, markdown_text
from libraries import ON_GPU, Jax, Library, NotForThis, opened, tried
from meters import Cuda, Meter, StandIn, device_count, synchronized_seconds
from rows import ROWS, SMALL_ROWS, Arrays, Row

EXAMPLES = """examples:
  python benchmarks/gpu_check.py                       all of it
  python benchmarks/gpu_check.py --install             install this checkout first, over whatever numfuse is there
  python benchmarks/gpu_check.py --megabytes 1024 --only softmax gelu --skip-tests
  python benchmarks/gpu_check.py --stand-in --out /tmp/results     try the script itself, on a machine with no GPU

Writes gpu.json and gpu.md (stand-in.json and stand-in.md for a stand-in), and says which of the figures that a GPU has to show are met. Exit code: 0 all
works, whether they are met or not; 1 no GPU, or something failed.
"""
ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numfuse", "numpy", "numba", "llvmlite", "numba-cuda", "cuda-core", "cuda-bindings")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--install", action="store_true", help="install numfuse from this checkout even if there is one")
    top.add_argument("--skip-tests", action="store_true", help="measure only")
    names = [row.name for row in ROWS if row.large]
    top.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"rows to run, of: {', '.join(names)}")
    top.add_argument(
        "--megabytes",
        type=float,
        metavar="N",
        help="of each row's first argument (default: 256, more than caches hold; 1 for a stand-in)",
    )
    top.add_argument("--repeat", type=int, default=11, metavar="N", help="rounds (default: %(default)s)")
    top.add_argument(
        "--out", type=Path, default=measure.RESULTS, metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    top.add_argument("--stand-in", action="store_true", help="take the CPU for the GPU; installs and tests nothing")
    return top


# -- numfuse itself, and its tests ---------------------------------------------------------------------------------------


def importable() -> str:
    """Why numfuse cannot be imported from elsewhere than its checkout; empty where it can."""
    with tempfile.TemporaryDirectory() as elsewhere:
        tried = subprocess.run(
            [sys.executable, "-c", "import numfuse"], cwd=elsewhere, capture_output=True, text=True, check=False
        )
    return "" if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["no reason given"])[-1]


def install() -> str:
    """Installs the checkout, without its dependencies; returns why that failed, or nothing."""
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--force-reinstall", "."]
    measure.progress(f"installing: {' '.join(command)}")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        old = " (setuptools below 70.1 needs the package `wheel`)" if "bdist_wheel" in done.stdout else ""
        return f"pip install failed{old}:\n" + "\n".join(done.stdout.strip().splitlines()[-15:])
    reason = importable()
    return f"installed, but it cannot be imported: {reason}" if reason else ""


def run_tests() -> dict[str, Any]:
    """`pytest -m gpu tests`, its output passed on.

    It runs in a folder that has all of the checkout but `numfuse/`. That folder is not the whole package, and would hide an installed one.
    Without hypothesis only `tests/gpu` is read, since other tests import it.
    """
    places = ["tests"] if importlib.util.find_spec("hypothesis") else ["tests/gpu"]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", *places]
    measure.progress(f"GPU tests: {' '.join(command[1:])}")
    last = ""
    with tempfile.TemporaryDirectory() as folder:
        for entry in ROOT.iterdir():
            if entry.name not in ("numfuse", "build") and not entry.name.startswith("."):
                (Path(folder) / entry.name).symlink_to(entry)
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert child.stdout is not None
        for line in child.stdout:
            measure.progress(f"  {line.rstrip()}")
            last = line.strip() or last
        code = child.wait()
    return {"passed": code == 0, "summary": last or f"exit code {code}", "exit_code": code, "ran": places}


# -- measuring -----------------------------------------------------------------------------------------------------------


class OnDevice(Library):
    """numfuse on a meter's device, with device arrays."""

    name = "numfuse"
    packages = ("numfuse",)

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.jit = importlib.import_module("numfuse").jit
        self.cost: dict[str, Any] = {}

    def prepare(self, row: Row, arrays: Arrays) -> Any:
        self.cost = {}
        function = self.jit(row.bound(np), target=self.meter.target)
        given = [self.meter.put(array) for array in arrays]
        self.cost = cost_of(function, given, self.meter.target)
        return lambda: function(*given)

    def wait(self, result: Any) -> None:
        self.meter.synchronize()


def cost_of(function: Any, given: Sequence[Any], target: str) -> dict[str, Any]:
    """Bytes that the kernels move, how many there are, and what each takes of the device."""
    compiled = function.lower(*given, target=target).compile()
    kernels = []
    for kernel in compiled.kernels:
        try:
            resources = kernel.resources
        except Exception as error:
            resources = {"unknown": f"{type(error).__name__}: {error}"}
        kernels.append({"name": kernel.name, **kernel.cost, **resources})
    return {"bytes": compiled.cost_analysis()["bytes"], "kernels": kernels, "library_calls": compiled.library_calls}


def host_clock(library: Library) -> measure.Clock:
    """The host's clock, over many calls and one wait."""
    return lambda call, count: synchronized_seconds(call, count, library.wait)


def device_clock(library: Library, meter: Meter) -> measure.Clock:
    """Torch and CuPy work on the default stream, as numfuse does; JAX has streams of its own, which only the host's clock sees."""
    return host_clock(library) if isinstance(library, Jax) else meter.seconds


def checked(library: Library, row: Row, arrays: Arrays, expected: Sequence[Any]) -> tuple[Any, float]:
    """A call of the row, and how far its result is from NumPy's. Raises Mismatch where that is too far."""
    call = library.prepare(row, arrays)
    result = call()
    library.wait(result)
    return call, measure.check(library.read(result), expected, row.rtol, row.atol)


def runners_of(
    row: Row, size: tuple[int, ...], libraries: Sequence[Library], meter: Meter, small: bool, told: dict[str, Any]
) -> dict[str, measure.Runner]:
    """What there is to time. `told` gets what was found out; what fails is left out with its reason."""
    arrays = row.arguments(size)
    expected = measure.as_list(row.function(np, *arrays))
    told["least_bytes"] = sum(np.asarray(array).nbytes for array in (*arrays, *expected))
    runners: dict[str, measure.Runner] = {}
    for library in libraries:
        try:
            call, told["difference"][library.name] = checked(library, row, arrays, expected)
            clock = host_clock(library) if small else device_clock(library, meter)
            clock(call, 2)
            runners[library.name] = measure.Runner(call, clock)
        except NotForThis as reason:
            told["left_out"][library.name] = str(reason)
        except Exception as error:
            told["failed"][library.name] = f"{type(error).__name__}: {error}"
            measure.progress(f"  {library.name} failed: {first_line(told['failed'][library.name])}")
        if isinstance(library, OnDevice):
            told |= library.cost
    return runners


def run_row(
    row: Row, size: tuple[int, ...], meter: Meter, libraries: Sequence[Library], rounds: int, small: bool = False
) -> dict[str, Any]:
    """One row of the report. `small`: the host's time counts. Nothing that a library does ends the run."""
    told: dict[str, Any] = {"name": row.name, "title": row.label(size), "seconds": {}}
    told |= {key: {} for key in ("factor", "difference", "failed", "left_out")}
    try:
        runners = runners_of(row, size, libraries, meter, small, told)
        told["seconds"] = measure.interleaved(runners, rounds, patience=0, pause=0.0).timings if runners else {}
    except Exception as error:
        told["failed"]["timing"] = f"{type(error).__name__}: {error}"
        measure.progress(f"  failed: {first_line(told['failed']['timing'])}")
    runners = {}
    for library in libraries:
        library.clear()
    if "numfuse" in told["seconds"]:
        own = told["seconds"]["numfuse"].median
        told["factor"] = {name: one.median / own for name, one in told["seconds"].items() if name != "numfuse"}
        told["bytes_per_second"] = told["bytes"] / own
    return told


def measure_all(told: dict[str, Any], meter: Meter, options: argparse.Namespace, save: Callable[[], Any]) -> None:
    """Fills `told` with the device's bandwidth, the rows and the time of a call; `save` is called after each."""
    told |= {**meter.about(), "clock": meter.clock}
    measure.progress(f"{told['device']}: copy bandwidth")
    told["copy"] = meter.copy_bandwidth()
    peers = found_peers(told["missing"])
    libraries = [OnDevice(meter), *peers]
    told["libraries"] = [library.name for library in libraries]
    told["versions"] = measure.versions([*PACKAGES, *[package for peer in peers for package in peer.packages]])
    megabytes = options.megabytes or (1 if isinstance(meter, StandIn) else 256)
    chosen = [row for row in ROWS if row.large and (not options.only or row.name in options.only)]
    for number, row in enumerate(chosen, 1):
        size = row.scaled(megabytes)
        assert size is not None
        measure.progress(f"[{number}/{len(chosen)}] {row.label(size)}")
        told["rows"].append(run_row(row, size, meter, libraries, options.repeat))
        if "bytes_per_second" in told["rows"][-1]:
            told["rows"][-1]["fraction_of_copy"] = (
                told["rows"][-1]["bytes_per_second"] / told["copy"]["bytes_per_second"]
            )
        save()
    for row in SMALL_ROWS:
        measure.progress(f"time of a call: {row.label()}")
        told["calls"].append(run_row(row, row.size, meter, libraries, options.repeat, small=True))
        save()
    measure.progress("arrays of the host's on their way in and out")
    told["transfers"] = meter.transfers(round(megabytes * 2**20))
    save()


def found_peers(missing: dict[str, str]) -> list[Library]:
    """The peers that work on this GPU; `missing` gets why the others do not."""
    working = []
    for name in ON_GPU:
        measure.progress(f"trying {name}")
        reason = tried(name)
        if reason:
            missing[name] = reason
            measure.progress(f"  without {name}: {reason}")
        else:
            working.append(name)
    libraries, broken = opened(ON_GPU, working)
    missing |= broken
    return libraries


def faults_of(told: dict[str, Any]) -> list[str]:
    """What makes the check fail: the tests, and numfuse's rows. Peers' failures are told, and are no fault."""
    faults = [] if told["tests"]["passed"] else [f"GPU tests: {told['tests']['summary']}"]
    for row in (*told["rows"], *told["calls"]):
        faults += [
            f"{row['title']}: {who}: {why}" for who, why in row["failed"].items() if who in ("numfuse", "timing")
        ]
    return faults


def main(arguments: Sequence[str] | None = None, meter: Meter | None = None) -> int:
    """`meter`: measure on this in place of a GPU."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    meter = StandIn() if meter is None and options.stand_in else meter
    if meter is None and device_count() == 0:
        print("no NVIDIA GPU here, or no driver for it: nothing is checked")
        return 1
    if meter is None and (options.install or importable()):
        reason = install()
        if reason:
            print(f"numfuse is not installed: {reason}")
            return 1
        rest = [argument for argument in given if argument != "--install"]
        os.execv(sys.executable, [sys.executable, str(Path(__file__).resolve()), *rest])  # where it is found
    skip = options.skip_tests or meter is not None
    tests = {"passed": True, "summary": "not run"} if skip else run_tests()
    told: dict[str, Any] = {"benchmark": "gpu", "date": measure.today(), "machine": measure.machine(), "tests": tests}
    told |= {"libraries": [], "missing": {}, "versions": {}, "rows": [], "calls": [], "faults": []}
    name = "stand-in" if isinstance(meter, StandIn) else "gpu"

    def save() -> list[Path]:
        return measure.write_results(options.out, name, told, markdown_text(told))

    ended = []
    try:
        measure_all(told, meter or Cuda(), options, save)
    except Exception as error:
        ended.append(f"measuring ended: {type(error).__name__}: {error}")
    told["goals"] = goals_of(told)
    told |= {"faults": [*ended, *faults_of(told)], "geometric_mean": geometric_means(told)}
    print("\n\n".join(measure.table(*part) for part in cells(told)))
    print("\n".join(["", *[f"{goal['verdict'].upper():<13} {goal['what']}: {goal['text']}" for goal in told["goals"]]]))
    print("\n".join(["", *[f"FAILED {fault}" for fault in told["faults"]], *[f"written: {path}" for path in save()]]))
    return 1 if told["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
