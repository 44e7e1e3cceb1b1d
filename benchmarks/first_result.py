"""What `startup.py` starts in a fresh process: imports one library, runs a function on the arrays in a file, and says when it is done.

    python benchmarks/first_result.py LIBRARY FUNCTION FILE.npz

The function is one of `functions.py`.

Prints a line of JSON as soon as the first result is there (seconds of the import and of the first call), and a second line with the time
of the next call and a checksum.
"""

import sys
import time

start = time.perf_counter()

import functions  # noqa: E402
import numpy as np  # noqa: E402


def numpy_call(function, arrays):  # type: ignore[no-untyped-def]
    return lambda: function(np, *arrays)


def numfuse_call(function, arrays):  # type: ignore[no-untyped-def]
    import numfuse

    jitted = numfuse.jit(lambda *arrays: function(np, *arrays), target="cpu")
    return lambda: jitted(*arrays)


def jax_call(function, arrays):  # type: ignore[no-untyped-def]
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jitted = jax.jit(lambda *arrays: function(jnp, *arrays))
    return lambda: jax.block_until_ready(jitted(*arrays))


def torch_call(function, arrays):  # type: ignore[no-untyped-def]
    import torch

    namespace = functions.torch_namespace(torch)
    compiled = torch.compile(lambda *arrays: function(namespace, *arrays))
    tensors = [torch.from_numpy(array) for array in arrays]
    return lambda: compiled(*tensors)


CALLS = {"numpy": numpy_call, "numfuse": numfuse_call, "jax": jax_call, "torch": torch_call}


def main(library: str, name: str, path: str) -> None:
    with np.load(path) as file:
        call = CALLS[library](getattr(functions, name), [file[key] for key in file.files])
    imported = time.perf_counter()
    result = call()
    done = time.perf_counter()
    print(f'{{"ready": {imported - start}, "first": {done - imported}}}', flush=True)
    again = time.perf_counter()
    call()
    again = time.perf_counter() - again
    parts = result if isinstance(result, tuple) else (result,)
    checksum = sum(float(np.square(np.asarray(part), dtype="f8").sum()) for part in parts)
    print(f'{{"again": {again}, "checksum": {checksum}}}', flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
