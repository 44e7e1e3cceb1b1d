"""Kernels on devices: compile, cache, memory, launch. Knows no Python functions."""
