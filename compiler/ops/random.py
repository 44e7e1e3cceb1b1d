"""The rows that random numbers are made of: bits of a counter-based generator, and the high half of a product.

Random bits are a function of a key, the place of an element and the number of the draw, so they depend neither on the order in which
elements are computed nor on who computes them. The function is Philox 4x32-10 of J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw,
"Parallel random numbers: as easy as 1, 2, 3", SC11, 2011 (the Random123 library), as cuRAND and NumPy's own Philox have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.ops.operator import Operator
from numfuse.compiler.types import Shape, Spec, broadcast

U4, U8, I8 = (np.dtype(name) for name in ("u4", "u8", "i8"))
LOW = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
STEPS = 0x9E3779B9, 0xBB67AE85


def philox(key: Any, place: Any, draw: Any) -> tuple[Any, Any]:
    """The 128 bits of Philox 4x32-10 for the 64-bit `key` and the counter (place, draw), as two 64-bit numbers, the first words low."""
    low, half = np.uint64(LOW), np.uint64(32)
    first, second = (np.uint64(number) for number in MULTIPLIERS)
    key, place, draw = (np.asarray(number).astype(U8)[()] for number in (key, place, draw))
    keys = [key & low, key >> half]
    a, b, c, d = place & low, place >> half, draw & low, draw >> half
    for _ in range(ROUNDS):
        p, q = a * first, c * second
        a, b, c, d = (q >> half) ^ b ^ keys[0], q & low, (p >> half) ^ d ^ keys[1], p & low
        keys = [(part + np.uint64(step)) & low for part, step in zip(keys, STEPS, strict=True)]
    return a | b << half, c | d << half


def random_bits(key: Any, place: Any, draw: Any, first: int, count: int) -> Any:
    """`count` random bits as an integer, from bit `first` on of the 128 there are; they stand in one half of these."""
    half = philox(key, place, draw)[first // 64]
    return (half << np.uint64(first % 64) >> np.uint64(64 - count)).astype(U4 if count <= 32 else U8)


def multiply_high(a: Any, b: Any) -> Any:
    """The high 64 bits of the product of two 64-bit integers."""
    low, half = np.uint64(LOW), np.uint64(32)
    cross = (a & low) * (b >> half) + ((a & low) * (b & low) >> half)
    other = (a >> half) * (b & low) + (cross & low)
    return (a >> half) * (b >> half) + (cross >> half) + (other >> half)


def infer_random_bits(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    key, place, draw = operands
    first, count = params["first"], params["count"]
    if key.dtype != U8 or place.dtype != I8 or draw.dtype != I8:
        raise TypeError("random_bits takes a key of 64 bits, an int64 place and an int64 draw")
    if not (0 <= first < 128 and count >= 1 and first % 64 + count <= 64):
        raise ValueError("random_bits takes bits of one half of 128")
    return broadcast(key.shape, place.shape, draw.shape), U4 if count <= 32 else U8


def infer_multiply_high(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    if any(operand.dtype != U8 for operand in operands):
        raise TypeError("multiply_high takes unsigned integers of 64 bits")
    return broadcast(*[operand.shape for operand in operands]), U8


ROWS = [
    Operator(
        name="random_bits",
        kind="elementwise",
        reference=random_bits,
        infer=infer_random_bits,
        code={"uii": "int_random_bits({0}, {1}, {2}, {first}, {count})"},
        cost=60,
    ),
    Operator(
        name="multiply_high",
        kind="elementwise",
        reference=multiply_high,
        infer=infer_multiply_high,
        code={"u": "multiply_high({0}, {1})"},
        cost=6,
        commutative=True,
    ),
]
