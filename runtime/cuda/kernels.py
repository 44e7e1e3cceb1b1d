"""Compiled CUDA kernels, kept in this process and in the disk cache."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from numfuse.compiler.lower.printer import Source
from numfuse.runtime import log
from numfuse.runtime.cache import disk_cache, versions
from numfuse.runtime.cuda.compile import Cubin, compile_ptx, link


@dataclass(frozen=True)
class CompiledKernel:
    ptx: str
    cubin: Cubin


_known: dict[str, CompiledKernel] = {}


@functools.cache
def toolchain_key() -> str:
    packages = ("numba", "llvmlite", "numba-cuda", "cuda-bindings", "nvidia-nvjitlink", "nvidia-nvvm")
    return versions(packages, Path(__file__).parent)


def compiled_kernel(source: Source, arch: str, threads: int, fastmath: bool) -> CompiledKernel:
    """The kernel as PTX and machine code: from this process, else from the disk cache, else compiled now."""
    described = f"cuda|{arch}|{threads}|{fastmath}|{source.code}|{source.signature}|{toolchain_key()}"
    key = hashlib.sha256(described.encode()).hexdigest()
    if key in _known:
        log.message("cache", f"hit {source.name} {arch} {key[:12]} in this process")
        return _known[key]
    cache = disk_cache()
    stored = cache.load(key)
    compiled = None if stored is None else _unpacked(stored)
    if compiled is None:
        start = time.perf_counter()
        ptx = compile_ptx(source, arch, threads, fastmath)
        compiled = CompiledKernel(ptx, link(ptx, arch, threads))
        log.message("cache", f"miss {source.name} {arch} {key[:12]}: compiled in {time.perf_counter() - start:.2f} s")
        cache.store(key, _packed(compiled), source.name, f"cuda {arch}")
    else:
        log.message("cache", f"hit {source.name} {arch} {key[:12]} on disk")
    _known[key] = compiled
    return compiled


def _packed(compiled: CompiledKernel) -> bytes:
    about = {"symbol": compiled.cubin.symbol, "resources": compiled.cubin.resources, "ptx": compiled.ptx}
    return json.dumps(about).encode() + b"\n" + compiled.cubin.code


def _unpacked(stored: bytes) -> CompiledKernel | None:
    about, _, code = stored.partition(b"\n")
    try:
        fields = json.loads(about)
        return CompiledKernel(fields["ptx"], Cubin(fields["symbol"], code, fields["resources"]))
    except (ValueError, KeyError):
        return None
