"""The threads that share a kernel.

They live in machine code made here from LLVM IR, and never hold the GIL. A thread that has finished looks out for the next kernel for some
tens of microseconds, since functions have several and programs call them again and again; then it sleeps on a lock of Python's. The
calling thread works too. Each takes the pieces of its own share in order, since memory is read fastest so, and then those that are left
of the others', so that none waits for a thread that is slow to wake. One kernel is shared at a time: a caller that finds the threads taken by
another caller's kernel runs its own alone.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import threading
from collections.abc import Callable

from numfuse.runtime.cpu.compile import load_ir
from numfuse.runtime.cpu.placement import LINE, at, placement

_TAKEN, _OPEN, _ACTIVE, _TASK, HELPERS, _SEATS = (LINE * k for k in range(6))
_SEAT = 4 * LINE
"""Each thread has a seat, the caller the first: whether it sleeps, its lock, its number for the system, the processor it was seen on (0: none yet,
1: the first, ...) and whether it was sent away from one; in the second line the next piece of its share; then the processors it may use, as the
system's set of 1024 bits, and those that it is sent to."""
LOOKS, YIELDS = 1500, 12000
"""How often a thread that has nothing to do looks for work: some 40 us at a stretch, then giving way to other threads between
two looks, some 4 ms. Then it sleeps: on a virtual machine, waking it costs the caller 50 us."""

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
        self.memory = ctypes.create_string_buffer(_SEATS + _SEAT * (helpers + 1) + LINE)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.memory))  # threads look at it while the process ends, too
        self.address = -(-ctypes.addressof(self.memory) // LINE) * LINE
        self.starting = threading.Lock()

    def start(self) -> None:
        """Starts the threads that are not there yet. A process may have fewer of them than it wants."""
        with self.starting:
            started = ctypes.c_int64.from_address(self.address + HELPERS)
            allocate = ctypes.pythonapi.PyThread_allocate_lock
            allocate.restype = ctypes.c_void_p
            while started.value < thread_count() - 1:
                number = started.value + 1
                seat = self.address + _SEATS + _SEAT * number
                ctypes.c_void_p.from_address(seat + 8).value = lock = allocate()
                ctypes.pythonapi.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)
                serve = threading.Thread(
                    target=_serve(), args=(self.address, number), name=f"numfuse-{number}", daemon=True
                )
                serve.start()
                started.value = number

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


def _serve() -> Callable[..., None]:
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(_code()[0])


def share_code() -> int:
    """The address of `void numfuse_share(pool, call, kernel, count, pieces, addresses)`, which runs `call(kernel, lo, hi, addresses)` for
    `pieces` ranges that together are range(count), on this thread and the pool's."""
    return _code()[1]


@functools.cache
def _code() -> list[int]:
    pause = PAUSES.get(platform.machine().lower(), "fence seq_cst")
    text = (_IR + placement()).replace("PAUSE", pause)
    text = text.replace("YIELD", "SwitchToThread" if os.name == "nt" else "sched_yield")
    if pause.startswith("call "):
        text += "declare " + pause.removeprefix("call ").replace("i32 1", "i32")
    return load_ir(text, "numfuse_serve", "numfuse_share")


_WORDS = (
    at("taken", "%pool", _TAKEN)
    + at("open", "%pool", _OPEN)
    + at("active", "%pool", _ACTIVE)
    + at("call_at", "%pool", _TASK)
    + at("kernel_at", "%pool", _TASK + 8)
    + at("count_at", "%pool", _TASK + 16)
    + at("pieces_at", "%pool", _TASK + 24)
    + at("addresses_at", "%pool", _TASK + 32)
    + at("shares_at", "%pool", _TASK + 40)
    + at("helpers_at", "%pool", HELPERS)
    + at("number_at", "%pool", HELPERS + 8)
    + at("seats", "%pool", _SEATS)
)

_IR = f"""
declare i32 @PyThread_acquire_lock(ptr, i32)
declare void @PyThread_release_lock(ptr)
declare i32 @YIELD()

; takes pieces of the open task, those of the thread's own share first, until none are left
define internal void @work(ptr %pool, i64 %me) {{
start:
{_WORDS}
  %call = load ptr, ptr %call_at
  %kernel = load ptr, ptr %kernel_at
  %count = load i64, ptr %count_at
  %pieces = load i64, ptr %pieces_at
  %addresses = load ptr, ptr %addresses_at
  %shares = load i64, ptr %shares_at
  br label %each
each:
  %k = phi i64 [ 0, %start ], [ %k_next, %none_left ]
  %k_next = add i64 %k, 1
  %more_shares = icmp slt i64 %k, %shares
  br i1 %more_shares, label %share, label %done
share:
  %whose = add i64 %me, %k
  %t = urem i64 %whose, %shares
  %place = mul i64 %t, {_SEAT}
  %next_place = add i64 %place, {LINE}
  %next = getelementptr i8, ptr %seats, i64 %next_place
  %first_times = mul i64 %t, %pieces
  %first = udiv i64 %first_times, %shares
  %last_times = add i64 %first_times, %pieces
  %last = udiv i64 %last_times, %shares
  br label %take
take:
  %taken_before = atomicrmw add ptr %next, i64 1 seq_cst
  %piece = add i64 %first, %taken_before
  %more = icmp slt i64 %piece, %last
  br i1 %more, label %run, label %none_left
run:
  %before = mul i64 %count, %piece
  %lo = udiv i64 %before, %pieces
  %after = add i64 %before, %count
  %hi = udiv i64 %after, %pieces
  call void %call(ptr %kernel, i64 %lo, i64 %hi, ptr %addresses)
  br label %take
none_left:
  br label %each
done:
  ret void
}}

; what a thread of the pool does for ever
define void @numfuse_serve(ptr %pool, i64 %me) {{
start:
{_WORDS}
  %place = mul i64 %me, {_SEAT}
  %sleeper = getelementptr i8, ptr %seats, i64 %place
  %lock_at = getelementptr i8, ptr %sleeper, i64 8
  %lock = load ptr, ptr %lock_at
  call void @sit_down(ptr %sleeper)
  br label %awake
awake:
  %seen = phi i64 [ 0, %start ], [ %seen_asleep, %asleep ], [ %number, %leave ]
  call void @is_here(ptr %sleeper)
  br label %look
look:
  %looks = phi i64 [ 0, %awake ], [ %looked, %again ], [ %looked, %make_way ]
  %number = load atomic i64, ptr %open seq_cst, align 8
  %some = icmp ne i64 %number, 0
  %other = icmp ne i64 %number, %seen
  %fresh = and i1 %some, %other
  br i1 %fresh, label %join, label %again
again:
  PAUSE
  %looked = add i64 %looks, 1
  %patient = icmp slt i64 %looked, {LOOKS}
  br i1 %patient, label %look, label %make_way
make_way:
  %yielded = call i32 @YIELD()
  call void @is_here(ptr %sleeper)
  %waiting = icmp slt i64 %looked, {LOOKS + YIELDS}
  br i1 %waiting, label %look, label %lie_down
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
  call void @work(ptr %pool, i64 %me)
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
  %helpers = load i64, ptr %helpers_at
  %threads = add i64 %helpers, 1
  %many = icmp slt i64 %threads, %pieces
  %shares = select i1 %many, i64 %threads, i64 %pieces
  store i64 %shares, ptr %shares_at
  br label %each_share
each_share:
  %t = phi i64 [ 0, %publish ], [ %t_next, %each_share ]
  %t_next = add i64 %t, 1
  %t_place = mul i64 %t, {_SEAT}
  %next_place = add i64 %t_place, {LINE}
  %next = getelementptr i8, ptr %seats, i64 %next_place
  store atomic i64 0, ptr %next monotonic, align 8
  %other_shares = icmp slt i64 %t_next, %shares
  br i1 %other_shares, label %each_share, label %announce
announce:
  %here = call i64 @processor()
  %last = load i64, ptr %number_at
  %number = add i64 %last, 1
  store i64 %number, ptr %number_at
  store atomic i64 %number, ptr %open seq_cst, align 8
  br label %each
each:
  %k = phi i64 [ 1, %announce ], [ %k_next, %woken ]
  %k_next = add i64 %k, 1
  %is_wanted = icmp slt i64 %k, %shares
  br i1 %is_wanted, label %wake, label %own_share
wake:
  %place = mul i64 %k, {_SEAT}
  %sleeper = getelementptr i8, ptr %seats, i64 %place
  %roused = cmpxchg ptr %sleeper, i64 1, i64 0 seq_cst seq_cst
  %slept = extractvalue {{ i64, i1 }} %roused, 1
  call void @send_away(ptr %sleeper, i64 %here, i1 %slept)
  br i1 %slept, label %release, label %woken
release:
  %lock_at = getelementptr i8, ptr %sleeper, i64 8
  %lock = load ptr, ptr %lock_at
  call void @PyThread_release_lock(ptr %lock)
  br label %woken
woken:
  br label %each
own_share:
  call void @work(ptr %pool, i64 0)
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
