"""The threads that share a kernel.

They live in machine code made here from LLVM IR, and never hold the GIL. A thread that has finished looks out for the next kernel for some
tens of microseconds, since functions have several and programs call them again and again; then it sleeps on a lock of Python's. The
calling thread works too, and takes pieces until none are left, so it never waits for a thread that is slow to wake. One kernel is shared at a
time: a caller that finds the threads taken by another caller's kernel runs its own alone.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import threading

from numfuse.runtime.cpu.compile import load_ir

_LINE = 128
"""Bytes between words that different threads write, so that they lie in different cache lines."""
_TAKEN, _OPEN, _ACTIVE, _NEXT, _TASK, HELPERS, _SLEEPERS = (_LINE * k for k in range(7))
LOOKS = 1500
"""How often a thread that has nothing to do looks for work before it sleeps: some 40 us where a pause takes 25 ns."""

PAUSES = dict.fromkeys(("x86_64", "amd64"), "call void @llvm.x86.sse2.pause()") | dict.fromkeys(
    ("aarch64", "arm64"), "call void @llvm.aarch64.hint(i32 1)"
)
"""What a thread does between two looks, by processor."""


@functools.cache
def thread_count() -> int:
    """NUMBA_NUM_THREADS where it is set, else the processors this process may use."""
    try:
        return max(1, int(os.environ["NUMBA_NUM_THREADS"]))
    except (KeyError, ValueError):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """The threads and the memory through which they are told what to do."""

    def __init__(self) -> None:
        helpers = thread_count() - 1
        self.memory = ctypes.create_string_buffer(_SLEEPERS + _LINE * (helpers + 1))
        self.address = -(-ctypes.addressof(self.memory) // _LINE) * _LINE
        self.starting = threading.Lock()

    def start(self) -> None:
        """Starts the threads that are not there yet. A process may have fewer of them than it wants."""
        with self.starting:
            started = ctypes.c_int64.from_address(self.address + HELPERS)
            allocate = ctypes.pythonapi.PyThread_allocate_lock
            allocate.restype = ctypes.c_void_p
            while started.value < thread_count() - 1:
                place = self.address + _SLEEPERS + _LINE * started.value
                ctypes.c_void_p.from_address(place + 8).value = lock = allocate()
                ctypes.pythonapi.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)
                name = f"numfuse-{started.value + 1}"
                threading.Thread(target=_serve(), args=(self.address, place), name=name, daemon=True).start()
                started.value += 1

    def forget(self) -> None:
        """In a child of the process that started the threads: there are none, and no kernel is being shared."""
        self.starting = threading.Lock()
        ctypes.memset(self.memory, 0, len(self.memory))


@functools.cache
def pool() -> Pool:
    made = Pool()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=made.forget)
    return made


def _serve() -> ctypes._CFuncPtr:
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(_code()[0])


def share_code() -> int:
    """The address of `void numfuse_share(pool, call, kernel, count, pieces, addresses)`, which runs `call(kernel, lo, hi, addresses)` for
    `pieces` ranges that together are range(count), on this thread and the pool's."""
    return _code()[1]


@functools.cache
def _code() -> list[int]:
    pause = PAUSES.get(platform.machine().lower(), "fence seq_cst")
    text = _IR.replace("PAUSE", pause).replace("YIELD", "SwitchToThread" if os.name == "nt" else "sched_yield")
    if pause.startswith("call "):
        text += "declare " + pause.removeprefix("call ").replace("i32 1", "i32")
    return load_ir(text, "numfuse_serve", "numfuse_share")


def _at(name: str, start: str, offset: int) -> str:
    return f"  %{name} = getelementptr i8, ptr {start}, i64 {offset}\n"


_WORDS = (
    _at("taken", "%pool", _TAKEN)
    + _at("open", "%pool", _OPEN)
    + _at("active", "%pool", _ACTIVE)
    + _at("next", "%pool", _NEXT)
    + _at("call_at", "%pool", _TASK)
    + _at("kernel_at", "%pool", _TASK + 8)
    + _at("count_at", "%pool", _TASK + 16)
    + _at("pieces_at", "%pool", _TASK + 24)
    + _at("addresses_at", "%pool", _TASK + 32)
    + _at("helpers_at", "%pool", HELPERS)
    + _at("number_at", "%pool", HELPERS + 8)
    + _at("sleepers", "%pool", _SLEEPERS)
)

_IR = f"""
declare i32 @PyThread_acquire_lock(ptr, i32)
declare void @PyThread_release_lock(ptr)
declare i32 @YIELD()

; takes pieces of the open task, until none are left
define internal void @work(ptr %pool) {{
start:
{_WORDS}
  %call = load ptr, ptr %call_at
  %kernel = load ptr, ptr %kernel_at
  %count = load i64, ptr %count_at
  %pieces = load i64, ptr %pieces_at
  %addresses = load ptr, ptr %addresses_at
  br label %take
take:
  %piece = atomicrmw add ptr %next, i64 1 seq_cst
  %more = icmp slt i64 %piece, %pieces
  br i1 %more, label %run, label %done
run:
  %before = mul i64 %count, %piece
  %lo = udiv i64 %before, %pieces
  %after = add i64 %before, %count
  %hi = udiv i64 %after, %pieces
  call void %call(ptr %kernel, i64 %lo, i64 %hi, ptr %addresses)
  br label %take
done:
  ret void
}}

; what a thread of the pool does for ever. `sleeper` is its own: whether it sleeps, and its lock
define void @numfuse_serve(ptr %pool, ptr %sleeper) {{
start:
{_WORDS}
  %lock_at = getelementptr i8, ptr %sleeper, i64 8
  %lock = load ptr, ptr %lock_at
  br label %awake
awake:
  %seen = phi i64 [ 0, %start ], [ %seen_asleep, %asleep ], [ %number, %leave ]
  br label %look
look:
  %looks = phi i64 [ 0, %awake ], [ %looked, %again ]
  %number = load atomic i64, ptr %open seq_cst, align 8
  %some = icmp ne i64 %number, 0
  %other = icmp ne i64 %number, %seen
  %fresh = and i1 %some, %other
  br i1 %fresh, label %join, label %again
again:
  PAUSE
  %looked = add i64 %looks, 1
  %patient = icmp slt i64 %looked, {LOOKS}
  br i1 %patient, label %look, label %lie_down
lie_down:
  store atomic i64 1, ptr %sleeper seq_cst, align 8
  %late = load atomic i64, ptr %open seq_cst, align 8
  %late_some = icmp ne i64 %late, 0
  %late_other = icmp ne i64 %late, %seen
  %late_fresh = and i1 %late_some, %late_other
  br i1 %late_fresh, label %get_up, label %sleep
get_up:
  %swapped = cmpxchg ptr %sleeper, i64 1, i64 0 seq_cst seq_cst
  %up = extractvalue {{ i64, i1 }} %swapped, 1
  br i1 %up, label %asleep, label %sleep
sleep:
  %got = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %asleep
asleep:
  %seen_asleep = phi i64 [ %seen, %sleep ], [ %seen, %get_up ]
  br label %awake
join:
  %members = atomicrmw add ptr %active, i64 1 seq_cst
  %still = load atomic i64, ptr %open seq_cst, align 8
  %in_time = icmp eq i64 %still, %number
  br i1 %in_time, label %help, label %leave
help:
  call void @work(ptr %pool)
  br label %leave
leave:
  %left = atomicrmw sub ptr %active, i64 1 seq_cst
  br label %awake
}}

define void @numfuse_share(ptr %pool, ptr %call, ptr %kernel, i64 %count, i64 %pieces, ptr %addresses) {{
start:
{_WORDS}
  %swapped = cmpxchg ptr %taken, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %swapped, 1
  br i1 %mine, label %publish, label %alone
alone:
  call void %call(ptr %kernel, i64 0, i64 %count, ptr %addresses)
  ret void
publish:
  store ptr %call, ptr %call_at
  store ptr %kernel, ptr %kernel_at
  store i64 %count, ptr %count_at
  store i64 %pieces, ptr %pieces_at
  store ptr %addresses, ptr %addresses_at
  store atomic i64 0, ptr %next seq_cst, align 8
  %last = load i64, ptr %number_at
  %number = add i64 %last, 1
  store i64 %number, ptr %number_at
  store atomic i64 %number, ptr %open seq_cst, align 8
  %helpers = load i64, ptr %helpers_at
  br label %each
each:
  %k = phi i64 [ 0, %publish ], [ %k_next, %woken ]
  %k_next = add i64 %k, 1
  %is_helper = icmp slt i64 %k, %helpers
  %is_needed = icmp slt i64 %k_next, %pieces
  %is_wanted = and i1 %is_helper, %is_needed
  br i1 %is_wanted, label %wake, label %own_share
wake:
  %place = mul i64 %k, {_LINE}
  %sleeper = getelementptr i8, ptr %sleepers, i64 %place
  %roused = cmpxchg ptr %sleeper, i64 1, i64 0 seq_cst seq_cst
  %slept = extractvalue {{ i64, i1 }} %roused, 1
  br i1 %slept, label %release, label %woken
release:
  %lock_at = getelementptr i8, ptr %sleeper, i64 8
  %lock = load ptr, ptr %lock_at
  call void @PyThread_release_lock(ptr %lock)
  br label %woken
woken:
  br label %each
own_share:
  call void @work(ptr %pool)
  store atomic i64 0, ptr %open seq_cst, align 8
  br label %wait
wait:
  %waits = phi i64 [ 0, %own_share ], [ %waited, %wait_more ]
  %busy = load atomic i64, ptr %active seq_cst, align 8
  %over = icmp eq i64 %busy, 0
  br i1 %over, label %give_back, label %wait_on
wait_on:
  PAUSE
  %waited = add i64 %waits, 1
  %long = icmp sgt i64 %waited, {LOOKS}
  br i1 %long, label %yield, label %wait_more
yield:
  %yielded = call i32 @YIELD()
  br label %wait_more
wait_more:
  br label %wait
give_back:
  store atomic i64 0, ptr %taken seq_cst, align 8
  ret void
}}
"""
