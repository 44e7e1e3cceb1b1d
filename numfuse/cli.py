"""The command line: `numfuse dump`, `numfuse compile`, `numfuse info`, `numfuse cache`. Data goes to stdout, messages to stderr.

Exit codes: 0 done; 1 the function or the machine does not allow it; 2 the command is written wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from numfuse import report
from numfuse.compiler.pipeline import PASSES

DUMP_EXAMPLES = """examples:
  numfuse dump model.py:gelu --arg 'x=f32[1000000]'
  numfuse dump model.py:softmax --arg 'x=f32[4096,1024]' --stage kernels --target cuda --arch sm_90
  numfuse dump model.py:softmax --arg 'x=f32[64,64]' --stage optimized --pass simplify
  numfuse dump model.py:softmax --arg 'x=f32[4096,1024]' --stage roofline    (runs it on random numbers: bytes, bound, time)
  numfuse dump model.py:step --arg 'x=f64[100]' --arg 'dt=0.1' --stage fused --format dot | dot -Tsvg > step.svg
"""
COMPILE_EXAMPLES = """examples:
  numfuse compile model.py:gelu --arg 'x=f32[1000000]'
  numfuse compile package.model:softmax --arg 'x=f32[4096,1024]' --target cuda --arch sm_90
  numfuse compile model.py:gelu --arg 'x=f32[1000]' --also model.py:gelu --arg 'x=f32[2000]' --also model.py:step --arg 'x=f64[100]' --arg dt=0.1

An array is taken to be in C order. The code is kept where `numfuse cache path` says, for processors like this one; set
NUMFUSE_CACHE_DIR to keep it elsewhere, and set it to the same folder where the program runs.
"""
CACHE_EXAMPLES = """examples:
  numfuse cache path        where compiled kernels are kept
  numfuse cache list        each with its target, size and when it was last used
  numfuse cache clear       removes them all
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="numfuse",
        description="Shows what numfuse makes of a NumPy function, and looks after the kernel cache.",
        epilog=DUMP_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="{dump,compile,info,cache}")
    dump = commands.add_parser(
        "dump",
        help="print the graph or the kernels of a function",
        description="Traces a function for arguments of the given types and prints a stage of what it becomes.",
        epilog=DUMP_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_function(dump)
    dump.add_argument("--stage", choices=report.STAGES, default="kernels", help="what to print (default: kernels)")
    names = [name for name, _ in PASSES]
    dump.add_argument(
        "--pass",
        dest="after",
        choices=names,
        metavar="NAME",
        help=f"print the graph after this pass: {', '.join(names)}",
    )
    dump.add_argument(
        "--format", choices=("text", "json", "dot"), default="text", help="how to print graphs (default: text)"
    )
    ahead = commands.add_parser(
        "compile",
        help="compile functions now, into the kernel cache, so that programs start fast",
        description="Compiles functions for arguments of the given types and keeps the code in the kernel cache, for the processes to come.",
        epilog=COMPILE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_function(ahead)
    ahead.add_argument(
        "--also",
        action="append",
        dest="arg",
        type=report.Also,
        metavar="FUNCTION",
        help="one more function, or the same one again; the --arg that follow are its own",
    )
    commands.add_parser("info", help="print versions, devices and settings, for a bug report")
    cache = commands.add_parser(
        "cache",
        help="show or clear the kernel cache",
        epilog=CACHE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cache.add_argument("action", choices=("path", "list", "clear"))
    return top


def _add_function(command: argparse.ArgumentParser) -> None:
    """What names a function, its arguments and the target."""
    command.add_argument(
        "function",
        metavar="FUNCTION",
        help="the function, as FILE.py:FUNCTION or package.module:FUNCTION; a method as Class.method",
    )
    command.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=TYPE",
        help="an argument's type, x=f32[1024,1024] or x=f64[]; or its value, n=3, for a number, a string, True, False or None",
    )
    command.add_argument("--target", choices=("cpu", "cuda"), default="cpu", help="what to compile for (default: cpu)")
    command.add_argument("--arch", metavar="sm_90", help="the CUDA architecture (default: this machine's, or sm_90)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "info":
            print(report.info())
        elif options.command == "cache":
            print(report.cache(options.action))
        elif options.command == "compile":
            print(report.compile_all(options))
        else:
            print(report.dump(options))
    except report.UsageError as error:
        print(f"numfuse: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has enough
        return 0
    except (OSError, RuntimeError, TypeError, ValueError, AttributeError, NameError, LookupError) as error:
        print(f"numfuse: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0
