"""Reports on every CUDA kernel of the benchmark rows, without a GPU: compiled for sm_90, at the sizes that a GPU gets.

A test (tests/cuda/test_report.py) computes the figures again and fails where one is worse than what is written here.
"""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import measure
from cuda_figures import ARCH, PROCESSORS, figures
from rows import ROWS, SHAPES, Row

REPORTED: tuple[Row, ...] = tuple(row for row in (*ROWS, *SHAPES) if not row.name.endswith("-small"))
PACKAGES = ("numba", "numba-cuda", "nvidia-nvvm", "nvidia-nvjitlink")
NOTES = """
No kernel ran for this: nothing here is a measurement of time. *Moved* is what the kernels of a function read and write: an array once a
kernel, and once more for each loop that reads it again after the threads of a row have waited for one another. *Least* is the arguments and results once.
*Occupancy* is the share of a multiprocessor's 64 warps that fit. *Useful* is the share of bytes asked for in the 32-byte sectors that
one warp touches (a single odd element at either end of a row makes it less than 100 %).
*Bits* are those of the widest load and store. *Blocks* should be {processors} at least.
Every kernel has 0 bytes spilled, no local memory, and no float64 instruction where its arrays are narrower, unless a line says otherwise.
"""


def told() -> dict[str, Any]:
    return {"arch": ARCH, "toolkit": toolkit(), "rows": {row.name: figures(row) for row in REPORTED}}


def toolkit() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def worse(now: Mapping[str, Any], before: Mapping[str, Any], same_toolkit: bool) -> list[str]:
    """What of a row's figures has become worse: a line each. Registers are compared for the same compilers only."""
    found = []
    if len(now["kernels"]) > len(before["kernels"]):
        found.append(f"{len(now['kernels'])} kernels, were {len(before['kernels'])}")
    if now["moved"] > before["moved"]:
        found.append(f"{now['moved']} bytes moved, were {before['moved']}")
    at_most = ("spill_bytes", "float64", "local_memory", *(("registers", "shared_bytes") if same_toolkit else ()))
    at_least = ("load_bits", "store_bits", "useful", "filled", *(("occupancy",) if same_toolkit else ()))
    for kernel, old in zip(map(_with_filled, now["kernels"]), map(_with_filled, before["kernels"]), strict=False):
        for names, sign in ((at_most, 1), (at_least, -1)):
            found += [
                f"{kernel['name']}: {name} {kernel[name]}, was {old[name]}"
                for name in names
                if sign * kernel[name] > sign * old[name]
            ]
    return found


def _with_filled(kernel: Mapping[str, Any]) -> dict[str, Any]:
    return {**kernel, "filled": min(kernel["blocks"], PROCESSORS)}


def markdown(report: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in report["toolkit"].items())
    lines, kernels, remarks = [], [], []
    for row in report["rows"].values():
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
        calls = f" and {len(row['library_calls'])} library calls" if "library_calls" in row else ""
        lines.append([row["label"], f"{len(row['kernels'])}{calls}", _mb(row["least"]), _mb(row["moved"]), ratio])
        for kernel in row["kernels"]:
            bits = f"{kernel['load_bits']}/{kernel['store_bits']}"
            names = ("blocks", "threads", "registers", "shared_bytes")
            kernels.append(
                [
                    f"{kernel['name']}: {row['label']}",
                    *[str(kernel[name]) for name in names],
                    f"{kernel['occupancy']:.0%}",
                    bits,
                    f"{kernel['useful']:.0%}",
                    _mb(kernel["moved"]),
                ]
            )
            remarks += [
                f"{kernel['name']} of {row['label']}: {name} {kernel[name]}."
                for name in ("spill_bytes", "local_memory", "float64")
                if kernel[name]
            ]
    functions = measure.markdown(["function", "kernels", "least MB", "moved MB", "moved by least"], lines)
    headings = ["kernel", "blocks", "threads", "registers", "shared bytes", "occupancy", "bits", "useful", "moved MB"]
    text = f"# CUDA kernels, compiled for {report['arch']}\n\n{packages}.\n{NOTES.format(processors=PROCESSORS)}"
    return "\n".join([text, functions, "", measure.markdown(headings, kernels), "", *remarks])


def _mb(nbytes: int) -> str:
    return f"{nbytes / 1e6:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=measure.RESULTS, metavar="FOLDER", help="where results go (default: %(default)s)"
    )
    report = told()
    for path in measure.write_results(parser.parse_args().out, "cuda_kernels", report, markdown(report)):
        print(path)


if __name__ == "__main__":
    main()
