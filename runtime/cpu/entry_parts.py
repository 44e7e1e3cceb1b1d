"""Functions that the code of whole calls calls, in LLVM IR."""

from __future__ import annotations

from numfuse.runtime.cpu.launch import DATA, DESCR

SAME = f"""
; the words after the spec, where the array has that descriptor, number of axes, extents and strides; else null
define internal ptr @numfuse_same(ptr %array, ptr %spec) {{
  %descr_at = getelementptr i8, ptr %array, i64 {DESCR}
  %descr = load ptr, ptr %descr_at
  %wanted_descr = load ptr, ptr %spec
  %same_descr = icmp eq ptr %descr, %wanted_descr
  %nd_at = getelementptr i8, ptr %array, i64 {DATA + 8}
  %nd32 = load i32, ptr %nd_at
  %nd = sext i32 %nd32 to i64
  %wanted_nd_at = getelementptr i8, ptr %spec, i64 8
  %wanted_nd = load i64, ptr %wanted_nd_at
  %same_nd = icmp eq i64 %nd, %wanted_nd
  %same_kind = and i1 %same_descr, %same_nd
  br i1 %same_kind, label %shape, label %no
shape:
  %dims_at = getelementptr i8, ptr %array, i64 {DATA + 16}
  %dims = load ptr, ptr %dims_at
  %strides_at = getelementptr i8, ptr %array, i64 {DATA + 24}
  %strides = load ptr, ptr %strides_at
  %wanted_dims = getelementptr i8, ptr %spec, i64 16
  %wanted_strides = getelementptr i64, ptr %wanted_dims, i64 %nd
  br label %loop
loop:
  %axis = phi i64 [ 0, %shape ], [ %next_axis, %matches ]
  %more = icmp slt i64 %axis, %nd
  br i1 %more, label %compare, label %yes
compare:
  %dim_p = getelementptr i64, ptr %dims, i64 %axis
  %dim = load i64, ptr %dim_p
  %wanted_dim_p = getelementptr i64, ptr %wanted_dims, i64 %axis
  %wanted_dim = load i64, ptr %wanted_dim_p
  %stride_p = getelementptr i64, ptr %strides, i64 %axis
  %stride = load i64, ptr %stride_p
  %wanted_stride_p = getelementptr i64, ptr %wanted_strides, i64 %axis
  %wanted_stride = load i64, ptr %wanted_stride_p
  %same_dim = icmp eq i64 %dim, %wanted_dim
  %same_stride = icmp eq i64 %stride, %wanted_stride
  %same = and i1 %same_dim, %same_stride
  br i1 %same, label %matches, label %no
matches:
  %next_axis = add i64 %axis, 1
  br label %loop
yes:
  %end = getelementptr i64, ptr %wanted_strides, i64 %nd
  ret ptr %end
no:
  ret ptr null
}}
"""

ADDRESS = f"""
; the address of an ndarray's data, or what the int in the slot at that place says
define internal i64 @numfuse_address(ptr %array, i64 %place) {{
  %is_array = icmp eq i64 %place, 0
  br i1 %is_array, label %plain, label %object
plain:
  %data_at = getelementptr i8, ptr %array, i64 {DATA}
  %data = load i64, ptr %data_at
  ret i64 %data
object:
  %overflow = alloca i32
  %slot = getelementptr i8, ptr %array, i64 %place
  %number = load ptr, ptr %slot
  %address = call i64 @PyLong_AsLongLongAndOverflow(ptr %number, ptr %overflow)
  ret i64 %address
}}
"""

GIL = """
define internal ptr @numfuse_without_gil(i64 %releases) {
  %keeps = icmp eq i64 %releases, 0
  br i1 %keeps, label %kept, label %release
release:
  %thread = call ptr @PyEval_SaveThread()
  ret ptr %thread
kept:
  ret ptr null
}
define internal void @numfuse_with_gil(ptr %thread) {
  %kept = icmp eq ptr %thread, null
  br i1 %kept, label %done, label %take
take:
  call void @PyEval_RestoreThread(ptr %thread)
  br label %done
done:
  ret void
}
"""
