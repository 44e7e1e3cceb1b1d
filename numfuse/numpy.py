"""NumPy's namespace on lazy arrays: `import numfuse.numpy as np`.

Operations are recorded, and run as fused kernels when a value is needed: `print(x)`, `float(x)`, `np.asarray(x)`, `x.numpy()`, or
`numfuse.evaluate(x, y)`. Kernels are kept by the structure of what was recorded, so a loop compiles once.
"""

from __future__ import annotations

from typing import Any

import numpy

from numfuse.compiler.lazy.face import numpy_namespace

__all__ = list(numpy.__all__)


def __getattr__(name: str) -> Any:
    return getattr(numpy_namespace(), name)


def __dir__() -> list[str]:
    return dir(numpy_namespace())
