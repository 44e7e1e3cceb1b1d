"""The code of whole calls, in LLVM IR. What it checks, allocates and runs stands in the words of its `self`."""

from __future__ import annotations

from numfuse.runtime.cpu.entry_parts import ADDRESS, GIL, SAME
from numfuse.runtime.cpu.launch import BYTES_HEADER, DATA, DECLARED, FLAGS, POINTERS, WRITEABLE

PLACES = 256
"""Arrays that such a program has, at most."""
FLOAT = float.__basicsize__ - 8
"""Where a float has its value."""


def entry_ir(name: str) -> str:
    """LLVM IR of `PyObject *name(PyObject *self, PyObject **args, Py_ssize_t n)`, for all programs."""
    return DECLARED + SAME + ADDRESS + GIL + _ENTRY.replace("@numfuse_entry", f"@{name}")


def _loop(name: str, count: str, before: str, after: str, body: str, carried: str = "") -> str:
    """A loop of LLVM IR, `%name` from 0 to `count`, entered from the block `before`. The body ends by jumping to `name_next`. `carried`: `%p = first`,
    a pointer that the body leaves as `%p_next`."""
    pointer, _, first = carried.partition(" = ")
    phi = f"  {pointer} = phi ptr [ {first}, %{before} ], [ {pointer}_next, %{name}_next ]\n" if carried else ""
    return f"""
{name}_loop:
  %{name} = phi i64 [ 0, %{before} ], [ %{name}_more, %{name}_next ]
{phi}  %{name}_done = icmp eq i64 %{name}, {count}
  br i1 %{name}_done, label %{after}, label %{name}_body
{name}_body:{body}
  br label %{name}_next
{name}_next:
  %{name}_more = add i64 %{name}, 1
  br label %{name}_loop
"""


def _word(name: str, of: str, place: int, kind: str = "i64") -> str:
    return f"""
  %{name}_at = getelementptr i64, ptr {of}, i64 {place}
  %{name} = load {kind}, ptr %{name}_at"""


def _stretch(name: str, of: str, place: int) -> str:
    """Loads where a stretch starts and ends."""
    return (
        _word(f"{name}_array", of, place)
        + _word(f"{name}_low", of, place + 1)
        + _word(f"{name}_high", of, place + 2)
        + f"""
  %{name}_from_at = getelementptr i64, ptr %sources, i64 %{name}_array
  %{name}_from = load i64, ptr %{name}_from_at
  %{name}_start = add i64 %{name}_from, %{name}_low
  %{name}_end = add i64 %{name}_from, %{name}_high"""
    )


_ENTRY = "".join(
    [
        f"""
define ptr @numfuse_entry(ptr %self, ptr %args, i64 %n) {{
start:
  %sources = alloca [{PLACES} x ptr]
  %objects = alloca [{PLACES} x ptr]
  %numbers = alloca [{PLACES} x i64]
  %overflow = alloca i32
  %pointers = alloca [{POINTERS} x ptr]
  %words = getelementptr i8, ptr %self, i64 {BYTES_HEADER}""",
        _word("arguments", "%words", 0),
        _word("ndarray", "%words", 1, "ptr"),
        _word("made", "%words", 2),
        _word("results", "%words", 3),
        _word("kernels", "%words", 4),
        _word("written", "%words", 5),
        _word("apart", "%words", 6),
        _word("releases", "%words", 7),
        _word("address_place", "%words", 8),
        """
  %writes = getelementptr i64, ptr %words, i64 9
  %pairs = getelementptr i64, ptr %writes, i64 %written
  %pair_words = mul i64 %apart, 6
  %allocators = getelementptr i64, ptr %pairs, i64 %pair_words
  %specs = getelementptr i64, ptr %allocators, i64 %made
  store ptr null, ptr %sources
  %first_argument = getelementptr ptr, ptr %sources, i64 1
  %first_made = getelementptr ptr, ptr %first_argument, i64 %arguments
  %as_many = icmp eq i64 %n, %arguments
  br i1 %as_many, label %a_loop, label %other""",
        _loop(
            "a",
            "%arguments",
            "start",
            "u_loop",
            f"""
  %arg_at = getelementptr ptr, ptr %args, i64 %a
  %arg = load ptr, ptr %arg_at
  %type_at = getelementptr i8, ptr %arg, i64 8
  %type = load ptr, ptr %type_at
  %source_at = getelementptr ptr, ptr %first_argument, i64 %a
  %is_array = icmp eq ptr %type, %ndarray
  br i1 %is_array, label %compare, label %number
compare:
  %past_array = call ptr @numfuse_same(ptr %arg, ptr %spec)
  %data_at = getelementptr i8, ptr %arg, i64 {DATA}
  %data = load ptr, ptr %data_at
  store ptr %data, ptr %source_at
  %fits = icmp ne ptr %past_array, null
  br i1 %fits, label %fit, label %other
number:
  %wanted_type = load ptr, ptr %spec
  %conversion_at = getelementptr i64, ptr %spec, i64 1
  %conversion = load i64, ptr %conversion_at
  %past_number = getelementptr i64, ptr %spec, i64 2
  %number_at = getelementptr i64, ptr %numbers, i64 %a
  store ptr %number_at, ptr %source_at
  %is_wanted = icmp eq ptr %type, %wanted_type
  br i1 %is_wanted, label %convert, label %other
convert:
  switch i64 %conversion, label %integer [
    i64 -1, label %float
    i64 -2, label %float
    i64 -6, label %object_given
  ]
object_given:"""
            + _word("wanted_layout", "%spec", 2, "ptr")
            + _word("layout_place", "%spec", 3)
            + _word("address_at", "%spec", 4)
            + f"""
  %past_object = getelementptr i64, ptr %spec, i64 5
  %layout_at = getelementptr i8, ptr %arg, i64 %layout_place
  %layout = load ptr, ptr %layout_at
  %same_layout = icmp eq ptr %layout, %wanted_layout
  br i1 %same_layout, label %address_given, label %other
address_given:
  %address = call i64 @numfuse_address(ptr %arg, i64 %address_at)
  store i64 %address, ptr %source_at
  br label %fit
float:
  %double_at = getelementptr i8, ptr %arg, i64 {FLOAT}
  %double = load double, ptr %double_at
  br label %store_float
integer:
  %whole = call i64 @PyLong_AsLongLongAndOverflow(ptr %arg, ptr %overflow)
  %overflows = load i32, ptr %overflow
  %in_range = icmp eq i32 %overflows, 0
  br i1 %in_range, label %ranged, label %other
ranged:
  %stays = icmp eq i64 %conversion, -5
  br i1 %stays, label %store_whole, label %to_double
store_whole:
  store i64 %whole, ptr %number_at
  br label %fit
to_double:
  %converted = sitofp i64 %whole to double
  br label %store_float
store_float:
  %value = phi double [ %double, %float ], [ %converted, %to_double ]
  %odd = and i64 %conversion, 1
  %is_double = icmp ne i64 %odd, 0
  br i1 %is_double, label %store_double, label %store_single
store_double:
  store double %value, ptr %number_at
  br label %fit
store_single:
  %single_value = fptrunc double %value to float
  store float %single_value, ptr %number_at
  br label %fit
fit:
  %spec_next = phi ptr [ %past_array, %compare ], [ %past_number, %store_whole ], [ %past_number, %store_double ],
    [ %past_number, %store_single ], [ %past_object, %address_given ]""",
            "%spec = %specs",
        ),
        _loop(
            "u",
            "%written",
            "a_loop",
            "v_loop",
            _word("target", "%write", 0)
            + f"""
  %changed_at = getelementptr ptr, ptr %args, i64 %target
  %array = load ptr, ptr %changed_at
  %flags_at = getelementptr i8, ptr %array, i64 {FLAGS}
  %flags = load i32, ptr %flags_at
  %writeable = and i32 %flags, {WRITEABLE}
  %is_writeable = icmp ne i32 %writeable, 0
  %write_next = getelementptr i64, ptr %write, i64 1
  br i1 %is_writeable, label %may_write, label %other
may_write:""",
            "%write = %writes",
        ),
        _loop(
            "v",
            "%apart",
            "u_loop",
            "m_loop",
            "".join(_stretch(name, "%pair", 3 * k) for k, name in enumerate(("one", "two")))
            + """
  %one_first = icmp ule i64 %one_end, %two_start
  %two_first = icmp ule i64 %two_end, %one_start
  %are_apart = or i1 %one_first, %two_first
  %pair_next = getelementptr i64, ptr %pair, i64 6
  br i1 %are_apart, label %far, label %other
far:""",
            "%pair = %pairs",
        ),
        _loop(
            "m",
            "%made",
            "v_loop",
            "ready",
            """
  %allocate_at = getelementptr i64, ptr %allocators, i64 %m
  %allocate = load ptr, ptr %allocate_at
  %object = call ptr @PyObject_CallNoArgs(ptr %allocate)
  %failed = icmp eq ptr %object, null
  br i1 %failed, label %f_loop, label %keep
keep:
  %object_at = getelementptr ptr, ptr %objects, i64 %m
  store ptr %object, ptr %object_at
  %made_data = call i64 @numfuse_address(ptr %object, i64 %address_place)
  %past_line = add i64 %made_data, 63
  %on_line = and i64 %past_line, -64
  %is_result = icmp ult i64 %m, %results
  %made_place = select i1 %is_result, i64 %made_data, i64 %on_line
  %made_place_at = getelementptr i64, ptr %first_made, i64 %m
  store i64 %made_place, ptr %made_place_at""",
        ),
        """
ready:
  %thread = call ptr @numfuse_without_gil(i64 %releases)
  br label %k_loop""",
        _loop(
            "k",
            "%kernels",
            "ready",
            "ran",
            _word("call", "%launch", 0, "ptr")
            + _word("kernel", "%launch", 1, "ptr")
            + _word("count", "%launch", 2)
            + _word("used", "%launch", 3)
            + """
  %described = getelementptr i64, ptr %launch, i64 4
  br label %p_loop"""
            + _loop(
                "p",
                "%used",
                "k_body",
                "run",
                _word("which", "%pointer", 0)
                + _word("bytes", "%pointer", 1)
                + """
  %pointer_next = getelementptr i64, ptr %pointer, i64 2
  %from_at = getelementptr ptr, ptr %sources, i64 %which
  %from = load ptr, ptr %from_at
  %moved = getelementptr i8, ptr %from, i64 %bytes
  %to_at = getelementptr ptr, ptr %pointers, i64 %p
  store ptr %moved, ptr %to_at""",
                "%pointer = %described",
            )
            + """run:
  %stop = call i64 %call(ptr %kernel, i64 0, i64 %count, ptr %pointers)
  %launch_next = getelementptr i64, ptr %pointer, i64 0
  %stops = icmp ne i64 %stop, 0
  br i1 %stops, label %stopped, label %goes_on
goes_on:""",
            "%launch = %spec",
        ),
        """
stopped:
  call void @numfuse_with_gil(ptr %thread)
  br label %f_loop
ran:
  call void @numfuse_with_gil(ptr %thread)
  br label %w_loop""",
        _loop(
            "w",
            "%made",
            "ran",
            "finish",
            """
  %no_result = icmp uge i64 %w, %results
  br i1 %no_result, label %drop, label %w_next
drop:
  %dropped_at = getelementptr ptr, ptr %objects, i64 %w
  %dropped = load ptr, ptr %dropped_at
  call void @Py_DecRef(ptr %dropped)""",
        ),
        """
finish:
  %first = load ptr, ptr %objects
  %one = icmp eq i64 %results, 1
  br i1 %one, label %single, label %several
single:
  ret ptr %first
several:
  %tuple = call ptr @PyTuple_New(i64 %results)
  %no_tuple = icmp eq ptr %tuple, null
  br i1 %no_tuple, label %f_loop, label %t_loop""",
        _loop(
            "t",
            "%results",
            "several",
            "give",
            """
  %item_at = getelementptr ptr, ptr %objects, i64 %t
  %item = load ptr, ptr %item_at
  %set = call i32 @PyTuple_SetItem(ptr %tuple, i64 %t, ptr %item)""",
        ),
        """
give:
  ret ptr %tuple
f_loop:
  %f = phi i64 [ %m, %m_body ], [ %results, %several ], [ %made, %stopped ], [ %f_less, %f_body ]
  %answer = phi ptr [ null, %m_body ], [ null, %several ], [ @_Py_NotImplementedStruct, %stopped ], [ %answer, %f_body ]
  %f_done = icmp eq i64 %f, 0
  br i1 %f_done, label %error_out, label %f_body
f_body:
  %f_less = sub i64 %f, 1
  %lost_at = getelementptr ptr, ptr %objects, i64 %f_less
  %lost = load ptr, ptr %lost_at
  call void @Py_DecRef(ptr %lost)
  br label %f_loop
error_out:
  %no_answer = icmp eq ptr %answer, null
  br i1 %no_answer, label %raised, label %other
raised:
  ret ptr null
other:
  call void @Py_IncRef(ptr @_Py_NotImplementedStruct)
  ret ptr @_Py_NotImplementedStruct
}
""",
    ]
)
"""The words of `self`: how many arguments, numpy.ndarray, how many arrays are made, results, kernels, arguments that are written to, pairs that lie
apart, whether kernels run without the GIL, where what is made has its address; these arguments; these pairs; what makes each array; each argument's
spec; for each kernel what calls it, its address, its count, how many pointers, and of each pointer array and bytes."""
