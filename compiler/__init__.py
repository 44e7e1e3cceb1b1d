"""From a Python function to kernel source. Knows no device."""
