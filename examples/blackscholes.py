"""Prices of European call and put options after Black and Scholes, in plain NumPy and in one fused kernel.

NumPy makes some sixty arrays on the way, and each goes to memory and back; the kernel reads four arrays and writes two.
"""

import sys

import numpy as np
from _show import arguments, at_least, compare

import numfuse

EPILOG = """examples:
  python examples/blackscholes.py                     10 million options, float32
  python examples/blackscholes.py --dtype float64
  python examples/blackscholes.py --count 1000000
"""


def normal_cdf(x):
    """The normal distribution function, to 7.5e-8 (Abramowitz and Stegun, 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = 0.3989422804014327 * np.exp(-0.5 * x * x) * series
    return np.where(x > 0, 1 - tail, tail)


def prices(spot, strike, years, volatility, rate):
    """The prices of a call and of a put. `rate` is one number, the others are arrays, one element for each option."""
    spread = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * years) / spread
    d2 = d1 - spread
    discounted = strike * np.exp(-rate * years)
    call = spot * normal_cdf(d1) - discounted * normal_cdf(d2)
    put = call - spot + discounted
    return call, put


def options_on_the_market(count, dtype):
    """Made-up options: spot price, strike price, years to run, volatility."""
    random = np.random.default_rng(0)
    ranges = ((80, 120), (80, 120), (0.1, 2), (0.1, 0.5))
    return [random.uniform(low, high, count).astype(dtype) for low, high in ranges]


def main():
    parser = arguments(__doc__.split("\n")[0], EPILOG)
    parser.add_argument("--count", type=at_least(1), default=10_000_000, help="how many options (default: 10000000)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default="float32",
        help="default: float32, which is as exact as the distribution function, and moves half the bytes",
    )
    chosen = parser.parse_args()
    market = options_on_the_market(chosen.count, chosen.dtype)
    tolerance = 1e-4 if chosen.dtype == "float32" else 1e-12
    right = compare(prices, numfuse.jit(prices), *market, 0.03, tolerance=tolerance)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
