"""From a Python function to a graph: an Array records each operation it meets."""

from numfuse.compiler.trace import array, ufuncs

ufuncs.define_operators(array.Array)
