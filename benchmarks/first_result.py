"""What `startup.py` starts in a fresh process: imports one library, runs softmax on the array in a file, and says when it is done.

    python benchmarks/first_result.py LIBRARY FILE.npy

Prints a line of JSON as soon as the first result is there (seconds of the import and of the first call), and a second line with the time
of the next call and a checksum.
"""

import sys
import time

start = time.perf_counter()

import numpy as np  # noqa: E402
from functions import softmax, torch_namespace  # noqa: E402


def numpy_call(x):  # type: ignore[no-untyped-def]
    return lambda: softmax(np, x)


def numfuse_call(x):  # type: ignore[no-untyped-def]
    import numfuse

    function = numfuse.jit(lambda x: softmax(np, x), target="cpu")
    return lambda: function(x)


def jax_call(x):  # type: ignore[no-untyped-def]
    import jax
    import jax.numpy as jnp

    function = jax.jit(lambda x: softmax(jnp, x))
    return lambda: function(x).block_until_ready()


def torch_call(x):  # type: ignore[no-untyped-def]
    import torch

    namespace = torch_namespace(torch)
    function = torch.compile(lambda x: softmax(namespace, x))
    tensor = torch.from_numpy(x)
    return lambda: function(tensor)


CALLS = {"numpy": numpy_call, "numfuse": numfuse_call, "jax": jax_call, "torch": torch_call}


def main(library: str, path: str) -> None:
    call = CALLS[library](np.load(path))
    imported = time.perf_counter()
    result = call()
    done = time.perf_counter()
    print(f'{{"ready": {imported - start}, "first": {done - imported}}}', flush=True)
    again = time.perf_counter()
    call()
    again = time.perf_counter() - again
    checksum = float(np.square(np.asarray(result), dtype="f8").sum())
    print(f'{{"again": {again}, "checksum": {checksum}}}', flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
