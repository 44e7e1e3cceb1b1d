"""What NUMFUSE_LOG asks to hear, on stderr: `cache`, `passes`, `compile`, `all`, or several with commas between."""

from __future__ import annotations

import os
import sys

TOPICS = ("cache", "passes", "compile")


def wanted(topic: str) -> bool:
    topics = os.environ.get("NUMFUSE_LOG", "")
    return bool(topics) and (topic in topics.split(",") or topics == "all")


def message(topic: str, text: str) -> None:
    if wanted(topic):
        print(f"numfuse[{topic}] {text}", file=sys.stderr)
