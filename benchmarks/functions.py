"""The functions that are measured. Each is written once, as one would in NumPy, with the namespace as its first argument.

Importing this module imports nothing else, so that the time from a process's start is a library's own.
"""

from __future__ import annotations

from typing import Any

# -- elementwise ---------------------------------------------------------------------------------------------------------


def saxpy(np: Any, a: Any, x: Any, b: Any, y: Any) -> Any:
    return a * x + b * y - 0.5


def gelu(np: Any, x: Any) -> Any:
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def normal_cdf(np: Any, d: Any) -> Any:
    """Abramowitz and Stegun, 26.2.17: the error is below 7.5e-8."""
    k = 1.0 / (1.0 + 0.2316419 * np.abs(d))
    series = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
    tail = 0.3989422804014327 * np.exp(-0.5 * d * d) * series
    return np.where(d > 0.0, 1.0 - tail, tail)


def black_scholes(np: Any, price: Any, strike: Any, years: Any) -> tuple[Any, Any]:
    """European call and put; rate 2 %, volatility 30 %, both a year."""
    spread = 0.3 * np.sqrt(years)
    d1 = (np.log(price / strike) + 0.065 * years) / spread
    d2 = d1 - spread
    discounted = strike * np.exp(-0.02 * years)
    call = price * normal_cdf(np, d1) - discounted * normal_cdf(np, d2)
    return call, call - price + discounted


def waves(np: Any, x: Any, y: Any) -> Any:
    return np.exp(x) * np.sin(y) + np.cos(x) * np.log(y)


def tanh_chain(np: Any, x: Any) -> Any:
    """Twenty times one function after another."""
    for _ in range(20):
        x = np.tanh(x)
    return x


# -- rows, columns and all -----------------------------------------------------------------------------------------------


def softmax(np: Any, x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm(np: Any, x: Any, gain: Any, bias: Any) -> Any:
    mean = np.mean(x, axis=-1, keepdims=True)
    variance = np.var(x, axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def squared_distance(np: Any, x: Any, y: Any) -> Any:
    d = x - y
    return np.sum(d * d)


def standardise(np: Any, x: Any) -> Any:
    return (x - np.mean(x, axis=0)) / np.std(x, axis=0)


def total(np: Any, x: Any) -> Any:
    return np.sum(x)


def column_sums(np: Any, x: Any) -> Any:
    return np.sum(x, axis=0)


def transposed_sum(np: Any, x: Any, y: Any) -> Any:
    return x.T + y


def transposed(np: Any, x: Any) -> Any:
    return (x.T * 2.0).reshape(-1)


def without_the_first(np: Any, x: Any) -> Any:
    """What is read does not begin at a multiple of 16 bytes."""
    return np.tanh(x[1:]) + x[1:]


# -- products, neighbours, pairs -----------------------------------------------------------------------------------------


def mlp(np: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
    hidden = np.maximum(x @ w1 + b1, 0.0)
    hidden = np.maximum(hidden @ w2 + b2, 0.0)
    return softmax(np, hidden @ w3 + b3)


def jacobi(np: Any, u: Any) -> Any:
    """One damped Jacobi step of the Laplace equation, on the inner points."""
    around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    return 0.2 * u[1:-1, 1:-1] + 0.2 * around


def jacobi_steps(np: Any, u: Any) -> Any:
    """Ten steps without damping; each loses the outermost points."""
    for _ in range(10):
        u = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def accelerations(np: Any, position: Any, mass: Any) -> Any:
    """Of bodies that attract one another, softened at short distances."""
    apart = position[None, :, :] - position[:, None, :]
    squared = np.sum(apart * apart, axis=-1) + 1e-4
    pull = mass / (squared * np.sqrt(squared))
    return np.sum(apart * pull[:, :, None], axis=1)


def column_softmax(np: Any, x: Any) -> Any:
    """Several kernels: each step needs all of the one before."""
    z = (x - np.mean(x, axis=0)) / np.std(x, axis=0)
    weight = np.exp(z - np.max(z))
    return weight / np.sum(weight)


def ten_steps(np: Any, x: Any) -> Any:
    """Ten kernels on a GPU: each step needs a sum and the maxima of the one before."""
    for _ in range(9):
        x = x / np.sum(x) + np.max(x, axis=0)
    return x


# -- namespaces ---------------------------------------------------------------------------------------------------------


def torch_namespace(torch: Any) -> Any:
    """The few functions of NumPy that the rows use, under NumPy's names."""

    class Namespace:
        exp, log, sqrt, tanh, abs, where = torch.exp, torch.log, torch.sqrt, torch.tanh, torch.abs, torch.where
        sin, cos = torch.sin, torch.cos

        @staticmethod
        def maximum(x: Any, low: float) -> Any:
            return torch.clamp_min(x, low)

        @staticmethod
        def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return x.max() if axis is None else torch.amax(x, dim=axis, keepdim=keepdims)

        @staticmethod
        def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
            return x.sum() if axis is None else torch.sum(x, dim=axis, keepdim=keepdims)

        @staticmethod
        def mean(x: Any, axis: Any, keepdims: bool = False) -> Any:
            return torch.mean(x, dim=axis, keepdim=keepdims)

        @staticmethod
        def var(x: Any, axis: Any, keepdims: bool = False) -> Any:
            return torch.var(x, dim=axis, correction=0, keepdim=keepdims)

        @staticmethod
        def std(x: Any, axis: Any, keepdims: bool = False) -> Any:
            return torch.std(x, dim=axis, correction=0, keepdim=keepdims)

    return Namespace
