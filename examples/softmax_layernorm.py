"""Softmax and layer norm over the rows of a matrix, in plain NumPy and in one fused kernel each.

Both reduce a row and then use the result at each of its elements. A row stays in the cache from the one to the other, so each
kernel reads its matrix from memory once.
"""

import sys

import numpy as np
from _show import arguments, at_least, compare

import numfuse

EPILOG = """examples:
  python examples/softmax_layernorm.py                              4096 rows of 1024 elements
  python examples/softmax_layernorm.py --rows 512 --columns 10000
"""


def softmax(x):
    grown = np.exp(x - x.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def layer_norm(x, gain, bias):
    mean = x.mean(axis=1, keepdims=True)
    variance = x.var(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def main():
    parser = arguments(__doc__.split("\n")[0], EPILOG)
    parser.add_argument("--rows", type=at_least(1), default=4096, help="default: 4096")
    parser.add_argument("--columns", type=at_least(1), default=1024, help="default: 1024")
    chosen = parser.parse_args()
    random = np.random.default_rng(0)
    x = random.standard_normal((chosen.rows, chosen.columns), np.float32)
    gain = random.standard_normal(chosen.columns, np.float32)
    bias = random.standard_normal(chosen.columns, np.float32)
    right = compare(softmax, numfuse.jit(softmax), x, tolerance=1e-5)
    print()
    right &= compare(layer_norm, numfuse.jit(layer_norm), x, gain, bias, tolerance=1e-4)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
