"""Whole programs in plain NumPy, as people write them, each with arguments at a small and at a full size."""

from __future__ import annotations

from tests.programs.learning import LEARNING
from tests.programs.linear import LINEAR
from tests.programs.program import Program
from tests.programs.sweeps import SWEEPS
from tests.programs.waves import WAVES

PROGRAMS: dict[str, Program] = {program.name: program for program in (*WAVES, *SWEEPS, *LINEAR, *LEARNING)}
