"""Lazy arrays, outside jit: operations are recorded as in a trace, and run fused when a value is needed."""
