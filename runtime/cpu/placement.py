"""Where the pool's threads run: code that keeps them off the processor of the thread that wants them.

On a machine with few processors, and more so on a virtual one, a thread may be woken on the caller's own while another is idle, for milliseconds.
"""

from __future__ import annotations

import ctypes
import os

LINE = 128
"""Bytes between words that different threads write, so that they lie in different cache lines."""


def at(name: str, start: str, offset: int) -> str:
    return f"  %{name} = getelementptr i8, ptr {start}, i64 {offset}\n"


def placement() -> str:
    """LLVM IR of what `threads.py` calls: `processor`, `sit_down`, `is_here` and `send_away`. Where the system does not say where threads run, or
    does not let them be moved, they do nothing."""
    names = ("sched_getcpu", "gettid", "sched_getaffinity", "sched_setaffinity")
    known = os.name == "posix" and all(hasattr(ctypes.CDLL(None), name) for name in names)
    return _PLACED if known else _ANYWHERE


_ANYWHERE = """
define internal i64 @processor() {
  ret i64 0
}
define internal void @sit_down(ptr %seat) {
  ret void
}
define internal void @is_here(ptr %seat) {
  ret void
}
define internal void @send_away(ptr %seat, i64 %from, i1 %slept) {
  ret void
}
"""

_PLACED = f"""
declare i32 @sched_getcpu()
declare i32 @gettid()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal i64 @processor() {{
  %number = call i32 @sched_getcpu()
  %one_more = add i32 %number, 1
  %wide = zext i32 %one_more to i64
  ret i64 %wide
}}

define internal void @sit_down(ptr %seat) {{
start:
{at("thread_at", "%seat", 16)}{at("all", "%seat", 2 * LINE)}
  %got = call i32 @sched_getaffinity(i32 0, i64 {LINE}, ptr %all)
  %known = icmp eq i32 %got, 0
  br i1 %known, label %tell, label %done
tell:
  %thread = call i32 @gettid()
  %wide = zext i32 %thread to i64
  store atomic i64 %wide, ptr %thread_at seq_cst, align 8
  br label %done
done:
  ret void
}}

; says where the thread is; one that was sent away may go where it likes from then on
define internal void @is_here(ptr %seat) {{
start:
{at("seen_at", "%seat", 24)}{at("sent_at", "%seat", 32)}{at("all", "%seat", 2 * LINE)}
  %here = call i64 @processor()
  store atomic i64 %here, ptr %seen_at monotonic, align 8
  %sent = load atomic i64, ptr %sent_at monotonic, align 8
  %free = icmp eq i64 %sent, 0
  br i1 %free, label %done, label %let_go
let_go:
  store atomic i64 0, ptr %sent_at monotonic, align 8
  %set = call i32 @sched_setaffinity(i32 0, i64 {LINE}, ptr %all)
  br label %done
done:
  ret void
}}

; takes a thread that was last seen on the caller's processor, or would perhaps be woken there, to another: it would wait until the caller has done all the work
define internal void @send_away(ptr %seat, i64 %from, i1 %slept) {{
start:
{at("seen_at", "%seat", 24)}{at("thread_at", "%seat", 16)}{at("sent_at", "%seat", 32)}
{at("all", "%seat", 2 * LINE)}{at("others", "%seat", 3 * LINE)}
  %seen = load atomic i64, ptr %seen_at monotonic, align 8
  %same = icmp eq i64 %seen, %from
  %near = or i1 %same, %slept
  br i1 %near, label %known, label %done
known:
  %thread = load atomic i64, ptr %thread_at seq_cst, align 8
  %is_known = icmp ne i64 %thread, 0
  %in_set = icmp ule i64 %from, {8 * LINE}
  %can = and i1 %is_known, %in_set
  br i1 %can, label %send, label %done
send:
  call void @llvm.memcpy.p0.p0.i64(ptr %others, ptr %all, i64 {LINE}, i1 false)
  %number = sub i64 %from, 1
  %word = lshr i64 %number, 6
  %bit = and i64 %number, 63
  %word_at = getelementptr i64, ptr %others, i64 %word
  %before = load i64, ptr %word_at
  %one = shl i64 1, %bit
  %without = xor i64 %one, -1
  %after = and i64 %before, %without
  store i64 %after, ptr %word_at
  %low = trunc i64 %thread to i32
  %set = call i32 @sched_setaffinity(i32 %low, i64 {LINE}, ptr %others)
  %went = icmp eq i32 %set, 0
  br i1 %went, label %mark, label %done
mark:
  store atomic i64 1, ptr %sent_at monotonic, align 8
  br label %done
done:
  ret void
}}
"""
