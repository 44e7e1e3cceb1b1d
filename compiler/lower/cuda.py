"""Prints kernels for CUDA: one function over a grid of threads.

Kernels without loops are flat (`cuda_flat.py`), or tiled where they read arrays across their rows (`cuda_tiled.py`). Kernels with loops
give each row a warp, a block or a column of threads (`cuda_rows.py`).
Thread numbers are unsigned 32-bit integers made 64 bits wide, so index arithmetic compiles to 32-bit instructions.
"""

from __future__ import annotations

from numfuse.compiler.kernel import Kernel
from numfuse.compiler.lower.crossing import crossing
from numfuse.compiler.lower.cuda_flat import FlatPrinter
from numfuse.compiler.lower.cuda_printer import Launch
from numfuse.compiler.lower.cuda_rows import RowPrinter
from numfuse.compiler.lower.cuda_tiled import TiledPrinter
from numfuse.compiler.lower.printer import Source
from numfuse.compiler.schedule import Schedule


def print_cuda(kernel: Kernel, schedule: Schedule) -> tuple[Source, Launch]:
    if kernel.loops:
        return RowPrinter(kernel, schedule).source()
    across = crossing(kernel)
    return TiledPrinter(kernel, *across).source() if across else FlatPrinter(kernel, schedule).source()
