"""Why some of NumPy's tests do not pass with lazy arrays: for each reason, patterns of the tests' names or of their errors."""

from __future__ import annotations

import re

OUT_OF_SCOPE = {
    "NumPy's helpers in C read the memory of an ndarray without asking what they are given": r"TestTemporaryElide|TestCAPI|TestCApiAccess"
    r"|NeighborhoodIter|TestAsCArray|TestWritebackIfCopy|test_to_device",
}
"""Tests that are not run."""

REASONS: list[tuple[str, str, str]] = [
    # (what is told, a pattern of the name, a pattern of the error)
    (
        "Floating-point warnings and errors (`np.errstate`) are off, and warnings of deprecated and lossy casts are not given",
        r"", r"FloatingPointError|DID NOT WARN|RuntimeWarning|ComplexWarning|DeprecationWarning",
    ),
    (
        "Floating-point warnings and errors (`np.errstate`) are off, and warnings of deprecated and lossy casts are not given",
        r"TestStats::test_empty|TestMedian::test_empty|TestFloatExceptions|test_tol_warnings|test_divide_err|TestSeterr::test_default"
        r"|test_log2_special", r"",
    ),
    (
        "The test asks `type(x) is ndarray` (or a scalar type); a lazy array is an instance of it by `isinstance`",
        r"test_result_types|test_test_zero_rank|test_richcompare_scalar|TestHashing|test_empty_subscript|test_real_imag|test_non_finite_scalar"
        r"|test_correct_quantile_value|test_test_interning", r"",
    ),
    (
        "The test asks for the very object or memory behind an array (`base`, `shares_memory`, `is`); lazy arrays have no memory of their own",
        r"TestSizeOf|TestFlat::|test_array_base|test_mmap_close|test_dtype_from_dtype|test_interface_nullptr|test_pickle_with_buffercallback"
        r"|TestResize|test___array__copy_arg"
        r"|ArrayAttributeDeletion|test_flat_element_deletion|test_empty_tuple_index|test_ellipsis_index|test_ellipsis_subscript"
        r"|test_reshape_copy_arg|TestDiff::test_n|TestBroadcast"
        r"|TestRollaxis::test_results", r"",
    ),
    (
        "Results are in C order; `order=` and flags of memory (`owndata`, `writeable`, `setflags`) are not kept",
        r"TestClip::|test_dot_3args_errors|test_dot_matmul_out|test_matmul_out|test_out_contiguous|test_ravel|test_swapaxes"
        r"|TestMethods::test_copy|TestMethods::test_put|TestPutmask::test_writeable|test_order_mismatch|test_striding_not_ok"
        r"|TestMethods::test_choose|test_memory_order|TestCopy::test_order|TestCreationFuncs|TestLikeFuncs|TestFlags|test_array_cont"
        r"|test_fill_readonly|test_array_order_preserve", r"",
    ),
    (
        "Subclasses of ndarray, and objects whose `__array__` gives a lazy array, are not computed with",
        r"test___array__|test_ufunc_binop_interaction|test_out_override|Subclass|subclass|test_masked|test_wrap|_wrap|test_priority"
        r"|test_default_prepare|test_return_type|test_out_subok|test_ufunc_override_with_super"
        r"|test_scalar_return_type|test_gh_28354", r"",
    ),
    ("Buffers, `__array_interface__` and views of raw memory are an ndarray's", r"", r"bytes-like object|__array_interface__|__array_struct__"),
    (
        "A view as another dtype or of unaligned memory is NumPy's, of a copy, and cannot be written to",
        r"test_searchsorted_unaligned_array|test_searchsorted_with_sorter|test_void_sort|test_unaligned|test_count_nonzero_non_aligned_array"
        r"|test_lower_align|TestBool::test_count_nonzero", r"read-only|last axis must be contiguous",
    ),
    ("`x.flat` takes the indices of an array: more than NumPy's iterator does", r"TestFlatiterIndexing", r""),
    ("There is no limit of 64 dimensions or indices", r"exceeds_maxdims|test_dimension_and_args_limit|test_too_many"
        r"|test_invalid_newaxis", r"DID NOT RAISE|not raised"),
    ("Python's bools are taken for integers", r"test_bool_as_int_argument_errors", r""),
    (
        "The test compares numfuse's function with NumPy's by identity, or asks for its docstring or signature",
        r"test_ufunc_arg|test_overflows|TestComplexFunctions::test_it|test_dtype_str_bytes|test_ufunc_override|test_ufunc_docstring"
        r"|test_array_signature|test_array_as_keyword", r"",
    ),
    ("The array API standard allows the call", r"test_clip_min_max_args", r"not raised"),
    ("Arrays in object dtype that hold lazy arrays", r"test_matmul_exception|test_ignore_object_identity|test_nonzero_invalid_object|test_I0"
        r"|Test_I0", r""),
    ("An internal function of NumPy's is given lazy scalars, and writes to them", r"TestLerp::test_linear_interpolation_formula_0d_inputs", r""),
    (
        "Elements in a foreign byte order become native ones",
        r"TestFromBuffer::test_basic|test_strings", r"",
    ),
    ("Structured elements and ctypes", r"TestNewBufferProtocol", r""),
    ("`np.array` of numbers takes `copy=False` and NumPy's private copy modes otherwise", r"test_scalars|test_compatible_cast", r""),
    ("Takes more than a minute", r"test_sort_degraded", r"Timeout"),
]  # fmt: skip


def out_of_scope(name: str) -> str | None:
    return next((reason for reason, pattern in OUT_OF_SCOPE.items() if re.search(pattern, name)), None)


def reason_for(name: str, error: str) -> str | None:
    """Why the test failed; None where no reason is known."""
    return next((told for told, names, errors in REASONS if re.search(names, name) and re.search(errors, error)), None)
