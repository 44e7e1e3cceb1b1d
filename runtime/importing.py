"""The lock under which Numba is imported.

Its modules import each other in circles. Where two threads begin at different ends, Python lets them have modules that are not complete yet, and an import
that fails so leaves Numba broken for the rest of the process.
"""

from __future__ import annotations

import threading

importing = threading.RLock()
