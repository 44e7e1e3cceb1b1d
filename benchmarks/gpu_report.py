"""The report of `gpu_check.py`: its tables, and its Markdown. Takes plain data only, so that it needs no GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import measure

Table = tuple[list[str], list[list[str]]]

NOTES = """
Time: medians over rounds in which each library has its turn, by {clock}; JAX by the host's clock, over many calls and one wait. Arguments and
results stay on the device. "Moved" is what the kernels read and write, each array once a kernel; "least" is the arguments and results alone.
"Of copy" is moved bytes a second as a fraction of the copy bandwidth. In brackets: the library's time by numfuse's. cupy.fuse takes elementwise
functions with at most a reduction at the end; it is a dash where it cannot. A full reduction of numfuse comes back as a host scalar, which waits.
"""


def cells(told: Mapping[str, Any]) -> list[Table]:
    """The tables of large arrays, of calls and of kernels; none where nothing was measured."""
    if not told["rows"] and not told["calls"]:
        return []
    peers = told["libraries"][1:]
    large = [_large_line(row, peers) for row in told["rows"]]
    means = geometric_means(told)
    if any(means.values()):
        texts = [f"({measure.ratio_text(mean)})" if mean else "" for mean in means.values()]
        large.append(["geometric mean", "", "", "", "", "", *texts])
    headings = ["large arrays", "least MB", "moved MB", "numfuse", "GB/s", "of copy", *peers]
    calls = [
        [row["title"], str(len(row.get("kernels", ()))), _time(row, "numfuse"), *[_peer(row, name) for name in peers]]
        for row in told["calls"]
    ]
    return [(headings, large), (["time of a call", "kernels", "numfuse", *peers], calls), kernel_cells(told)]


def geometric_means(told: Mapping[str, Any]) -> dict[str, float | None]:
    """Of each peer's time by numfuse's."""
    return {
        name: measure.geometric_mean(row["factor"][name] for row in told["rows"] if name in row["factor"])
        for name in told["libraries"][1:]
    }


def kernel_cells(told: Mapping[str, Any]) -> Table:
    """What each kernel takes of the device."""
    columns = ("registers", "spill_bytes", "shared_bytes", "threads")
    lines = [
        [
            f"{kernel['name']} of {row['title']}",
            f"{kernel['bytes'] / 1e6:.1f}",
            *[str(kernel.get(name, "-")) for name in columns],
        ]
        for row in (*told["rows"], *told["calls"])
        for kernel in row.get("kernels", ())
    ]
    return ["kernels", "moved MB", "registers", "spilled bytes", "shared bytes", "threads a block"], lines


def _large_line(row: Mapping[str, Any], peers: list[str]) -> list[str]:
    rate = f"{row['bytes_per_second'] / 1e9:.0f}" if "bytes_per_second" in row else "-"
    fraction = f"{row['fraction_of_copy']:.0%}" if "fraction_of_copy" in row else "-"
    moved = f"{row['bytes'] / 1e6:.0f}" if "bytes" in row else "-"
    least = f"{row['least_bytes'] / 1e6:.0f}"
    return [row["title"], least, moved, _time(row, "numfuse"), rate, fraction, *[_peer(row, name) for name in peers]]


def _time(row: Mapping[str, Any], name: str) -> str:
    if name in row["seconds"]:
        return measure.time_text(row["seconds"][name].median)
    return "failed" if name in row["failed"] else "-"


def _peer(row: Mapping[str, Any], name: str) -> str:
    factor = f" ({measure.ratio_text(row['factor'][name])})" if name in row["factor"] else ""
    return _time(row, name) + factor


def markdown_text(told: Mapping[str, Any]) -> str:
    """The whole report."""
    about, title = told["machine"], f"GPU check: {told.get('device', 'nothing measured')}"
    text = measure.heading(title, about, {"driver": told.get("driver", "unknown"), **told.get("versions", {})})
    text += f"\n\nGPU tests: {told['tests']['summary']}."
    text += "".join(f"\n\nFAILED {fault}" for fault in told["faults"])
    if "copy" in told:
        copy = told["copy"]
        text += f"\n\nCopy bandwidth: {copy['bytes_per_second'] / 1e9:.0f} GB/s ({copy['bytes'] / 2**20:.0f} MiB read and written)."
        text += NOTES.format(clock=told["clock"])
    text += "".join(f"\n{measure.markdown(*part)}\n" for part in cells(told))
    goals = [[goal["what"], goal["text"], goal["verdict"]] for goal in told.get("goals", ())]
    text += f"\n{measure.markdown(['goals', 'wanted; found', 'verdict'], goals)}\n" if goals else ""
    text += "".join(f"\nWithout {name}: {reason}.\n" for name, reason in told["missing"].items())
    for row in (*told["rows"], *told["calls"]):
        text += "".join(f"\n{row['title']}: {name} failed: {first_line(why)}\n" for name, why in row["failed"].items())
    return text


def first_line(reason: str) -> str:
    return reason.strip().splitlines()[0][:300] if reason.strip() else "no reason given"
