"""What NUMFUSE_LOG asks to hear, on stderr: several topics with commas between, or `all`.

`compile`: each trace, and why: what differs from the signatures known; `passes`: the time and the nodes of each pass; `cache`: for each kernel of a new
signature whether it was had (in this process, or on disk) or compiled and in what time, and what was damaged or removed on disk; `fallback`: what NumPy
computes in place of a kernel, and why; `check`: no message, but the graph is verified after each pass.
"""

from __future__ import annotations

import os
import sys

TOPICS = ("compile", "passes", "cache", "check", "fallback")


def wanted(topic: str) -> bool:
    topics = os.environ.get("NUMFUSE_LOG", "").split(",")
    return topic in topics or "all" in topics


def message(topic: str, text: str) -> None:
    if wanted(topic):
        print(f"numfuse[{topic}] {text}", file=sys.stderr)
