"""The `gpupool` command: `pool` files, run the `demo`, print `info`. Errors are one line; exit code 2 is usage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gpupool.failure import CommandError, UsageError, missing_extra
from gpupool.operators import OPERATORS

OPS = tuple(row.name for row in OPERATORS.values() if not row.options)
TAKE_DTYPE = tuple(op for op in OPS if OPERATORS[op].dtype)
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program stopped by Ctrl-C
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE

POOL_NOTES = """\
INPUT and OUTPUT are .png, .jpg, .jpeg, .tif, .tiff or .npy, in any combination that can hold the result.
Images are pooled over height and width, each channel (alpha too) by itself, and keep their dtype: the average of
uint8 pixels is uint8, rounded half to even. Palette and 1-bit images become RGB(A) and gray; EXIF rotation is
applied; the colour profile is kept, other metadata is not.
.npy arrays are pooled over their last two axes (1-D: the only one), or the last k when --window has k values, or
over --axes; averages of integers are floating point unless --dtype says otherwise.
OUTPUT is replaced only when the whole result has been written."""


class OneLineParser(argparse.ArgumentParser):
    """argparse, with errors as one line instead of a usage block."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    try:
        args = build_parser().parse_args(argv)
        args.run(args)
        sys.stdout.flush()  # so that a closed pipe is noticed here, not at interpreter exit
    except UsageError as error:
        return _fail(str(error), EXIT_USAGE)
    except CommandError as error:
        return _fail(str(error), EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read our output has gone (`gpupool info | head -1`): nothing to say, and nowhere to say it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        return _fail(_os_message(error), EXIT_FAILED)
    except MemoryError:
        return _fail("not enough memory", EXIT_FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    return 0


def _fail(message: str, code: int) -> int:
    """Print one line on stderr and hand the exit code back."""
    print("gpupool: error:", " ".join(message.split()), file=sys.stderr)
    return code


def _os_message(error: OSError) -> str:
    """`cannot use 'file': No such file or directory` rather than Python's `[Errno 2] ...`."""
    reason = error.strerror or str(error)
    return f"cannot use {str(error.filename)!r}: {reason}" if error.filename else reason


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = OneLineParser(prog="gpupool", description="Max, average and global pooling of images and arrays.")
    parser.add_argument("--version", action="version", version=f"gpupool {version('gpupool')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{pool,demo,info}")
    _add_pool(commands)
    demo = commands.add_parser("demo", help="pool a photograph three ways: a table of times and one picture")
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("gpupool-demo.png"),
        metavar="PICTURE",
        help="the picture to write, a .png (default: %(default)s)",
    )
    demo.set_defaults(run=_run_demo)
    info = commands.add_parser("info", help="versions, CPU threads, GPUs and drivers; why the GPU path is unavailable")
    info.set_defaults(run=_run_info)
    return parser


def _add_pool(commands: Any) -> None:
    """The `pool` sub-command and its options."""
    parser = commands.add_parser(
        "pool",
        help="pool an image or a .npy array",
        epilog=POOL_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT", help="the file to read")
    add("-o", "--output", type=Path, required=True, metavar="OUTPUT", help="the file to write")
    add("--op", choices=OPS, required=True, help="what each window becomes")
    add("--window", type=_positive, required=True, metavar="N|H,W", help="window size, for example 2 or 2,3")
    add("--stride", type=_positive, metavar="N|H,W", help="step between windows (default: the window)")
    add(
        "--padding",
        type=_padding,
        default=0,
        metavar="PAD",
        help="N, H,W, BEFORE:AFTER per axis, same, same_lower or valid (default: 0)",
    )
    add("--dilation", type=_positive, default=(1,), metavar="N|H,W", help="step between window elements (default: 1)")
    add("--ceil", action="store_true", help="also keep the last window where it hangs over the edge")
    add(
        "--count-include-pad",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="avg: count padding in the divisor, as zeros (default: yes)",
    )
    add("--dtype", type=_dtype, help="avg: dtype of the result, for example uint8 or float32")
    add("--axes", type=_axes, metavar="A,B", help=".npy only: the axes to pool; 0,1 or --axes=-3,-2")
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: the GPU where one can be used, else the CPU (default)",
    )
    parser.set_defaults(run=_run_pool)


def _integers(text: str, lowest: int | None, what: str) -> tuple[int, ...]:
    """Comma-separated integers, each at least `lowest`."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}, nor a list of them like 2,3") from None
    if lowest is not None and min(values) < lowest:
        raise argparse.ArgumentTypeError(f"{text!r} must be {lowest} or more")
    return values


def _positive(text: str) -> tuple[int, ...]:
    """One size for all axes, or one per axis."""
    return _integers(text, 1, "an integer")


def _axes(text: str) -> tuple[int, ...]:
    """Axis numbers; negative ones count from the end."""
    return _integers(text, None, "an axis number")


def _padding(text: str) -> Any:
    """A rule's name, an int for all axes, or per axis an int or BEFORE:AFTER."""
    if text in ("same", "same_lower", "valid"):
        return text
    if ":" not in text:
        return _integers(text, 0, "an integer, same, same_lower or valid")
    pairs = tuple(_integers(part.replace(":", ","), 0, "BEFORE:AFTER") for part in text.split(","))
    if any(len(pair) > 2 for pair in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not BEFORE:AFTER per axis")
    return tuple(pair if len(pair) == 2 else pair * 2 for pair in pairs)


def _dtype(text: str) -> np.dtype[Any]:
    """A NumPy dtype by name."""
    try:
        return np.dtype(text)
    except TypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a dtype; for example uint8 or float32") from None


def _run_pool(args: argparse.Namespace) -> None:
    """`gpupool pool`: read, pool, write."""
    from gpupool import device, images

    if args.dtype is not None and not OPERATORS[args.op].dtype:
        raise UsageError(f"--dtype applies to --op {', '.join(TAKE_DTYPE)} only; {args.op} keeps the dtype")
    images.check_suffixes(args.input, args.output)
    if args.axes is not None and not images.is_array_file(args.input):
        raise UsageError("--axes applies to .npy files only; images are pooled over height and width")
    images.check_writable(args.output)
    source = images.read(args.input)
    chosen = device.choose(args.device)
    result = _pool(source, args, chosen)
    images.write(args.output, source.with_array(result))
    shapes = f"{_shape(source.array)} -> {_shape(result)}"
    print(f"{args.output}: {args.op} pooling on {chosen.label}, {shapes}")


def _shape(array: np.ndarray) -> str:
    """`300 x 451 x 3 uint8`."""
    return f"{' x '.join(map(str, array.shape)) or 'scalar'} {array.dtype}"


def _pool(source: Any, args: argparse.Namespace, chosen: Any) -> np.ndarray:
    """One call of the library with the command line's arguments, on the chosen device."""
    axes = args.axes or source.pooled_axes(len(args.window))
    options: dict[str, Any] = {"axes": axes, "padding": _per_axis(args.padding, len(axes)), "ceil_mode": args.ceil}
    options["dilation"] = _per_axis(args.dilation, len(axes))
    if args.stride is not None:
        options["stride"] = _per_axis(args.stride, len(axes))
    if OPERATORS[args.op].divides:
        options["count_include_pad"] = args.count_include_pad
    if OPERATORS[args.op].dtype:
        options["dtype"] = args.dtype if args.dtype is not None else source.average_dtype
    return chosen.pool(source.array, args.op, _per_axis(args.window, len(axes)), **options)


def _per_axis(value: Any, count: int) -> Any:
    """One value given once stands for every pooled axis."""
    return value * count if isinstance(value, tuple) and len(value) == 1 else value


def _run_demo(args: argparse.Namespace) -> None:
    """`gpupool demo`: the table, then the picture."""
    with missing_extra():
        from gpupool import demo
    demo.run(args.output)


def _run_info(args: argparse.Namespace) -> None:  # noqa: ARG001
    """`gpupool info`."""
    from gpupool import info

    print(info.report())
