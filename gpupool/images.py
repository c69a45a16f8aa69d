"""Image and array files for the command line: read to a `Raster`, write one, never leave half a file."""

from __future__ import annotations

import logging
import os
import secrets
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from gpupool.failure import CommandError, UsageError, missing_extra

ARRAY_SUFFIXES = (".npy",)
TIFF_SUFFIXES = (".tif", ".tiff")
PILLOW_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
SUFFIXES = (*PILLOW_SUFFIXES, *TIFF_SUFFIXES, *ARRAY_SUFFIXES)
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Raster:
    """An array and what a file says of it. `axes` names them as TIFF does: Y, X, S for samples (channels)."""

    array: np.ndarray
    axes: str | None = None  # None: a bare array, nothing is known
    icc_profile: bytes | None = None

    def pooled_axes(self, count: int) -> tuple[int, ...]:
        """Height and width of an image; of a bare array the last two axes, or as many as the window has values."""
        if self.axes is not None:
            return self.axes.index("Y"), self.axes.index("X")
        if self.array.ndim == 0:
            raise CommandError("a single number cannot be pooled: the array has shape ()")
        count = min(2, self.array.ndim) if count == 1 else count
        return tuple(range(-count, 0))

    @property
    def average_dtype(self) -> np.dtype[Any] | None:
        """Averages of an image keep its dtype; of a bare array the library decides."""
        return None if self.axes is None else self.array.dtype

    def with_array(self, array: np.ndarray) -> Raster:
        """The pooled array of the same file."""
        return replace(self, array=array)


def check_suffixes(source: Path, target: Path) -> None:
    """Raise UsageError for a file type that is not known."""
    for role, path in (("INPUT", source), ("OUTPUT", target)):
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{role} {str(path)!r}: unknown suffix {path.suffix!r}; use one of {', '.join(SUFFIXES)}")


def is_array_file(path: Path) -> bool:
    """Whether the file is a bare array, not an image."""
    return path.suffix.lower() in ARRAY_SUFFIXES


def read(path: Path) -> Raster:
    """The image or array in a file."""
    suffix = path.suffix.lower()
    reader = _read_array if suffix in ARRAY_SUFFIXES else _read_tiff if suffix in TIFF_SUFFIXES else _read_pillow
    try:
        with open(path, "rb") as handle:  # a missing or forbidden file, or a directory, in the system's own words
            raster = reader(handle, path)
    except (CommandError, MemoryError):
        raise
    except OSError as error:
        raise CommandError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except Exception as error:
        # Decoders raise anything on damaged files: SyntaxError, struct.error, zlib.error, IndexError, TiffFileError...
        raise CommandError(f"cannot read {str(path)!r}: {error or type(error).__name__}") from error
    native = raster.array.dtype.newbyteorder("=")
    return raster.with_array(raster.array.astype(native, copy=False))


def _read_array(handle: IO[bytes], path: Path) -> Raster:
    """A .npy file."""
    array = np.load(handle, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise CommandError(f"cannot read {str(path)!r}: not a .npy file")
    return Raster(array)


def _read_pillow(handle: IO[bytes], path: Path) -> Raster:
    """A PNG or JPEG file."""
    with missing_extra():
        from PIL import Image, ImageOps, UnidentifiedImageError

    header = handle.read(26)
    handle.seek(0)
    if header.startswith(b"\x89PNG") and header[24:25] == b"\x10" and header[25:] != b"\x00":
        # Pillow would read it as 8-bit without a word.
        raise CommandError(f"cannot read {str(path)!r}: 16-bit PNG with colour or alpha; use 16-bit gray or TIFF")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's advice is not the user's; what it cannot read raises
        try:
            opened = Image.open(handle, formats=("PNG", "JPEG"))
        except UnidentifiedImageError:
            raise CommandError(f"cannot read {str(path)!r}: not a PNG or JPEG file") from None
        with opened as image:
            if image.format == "PNG" and getattr(image, "is_animated", False):
                raise CommandError(f"cannot read {str(path)!r}: an animated PNG; extract a frame first")
            plain = _plain(ImageOps.exif_transpose(image), path)
            array = np.array(plain)
    if plain.mode == "I":  # how Pillow before 11 reads 16-bit gray
        array = array.astype(np.uint16)
    return Raster(array, "YXS"[: array.ndim], plain.info.get("icc_profile"))


def _plain(image: Any, path: Path) -> Any:
    """The image as gray, gray + alpha, RGB or RGBA; colours of palettes and transparent colours written out."""
    mode, transparent = image.mode, "transparency" in image.info
    if mode in ("1", "L", "LA"):
        return image.convert("LA" if transparent or mode == "LA" else "L")
    if mode in ("P", "PA", "RGB", "RGBA"):
        return image.convert("RGBA" if transparent or mode in ("PA", "RGBA") else "RGB")
    if (mode.startswith("I;16") or (mode == "I" and image.format == "PNG")) and not transparent:
        return image
    raise CommandError(f"cannot read {str(path)!r}: image mode {mode} is not supported; convert it to gray or RGB(A)")


def _read_tiff(handle: IO[bytes], path: Path) -> Raster:
    """A TIFF file with one image, of any number of pages."""
    with missing_extra():
        import tifffile

    with _quiet("tifffile"), tifffile.TiffFile(handle) as file:
        if len(file.series) != 1:
            raise CommandError(f"cannot read {str(path)!r}: it holds {len(file.series)} images; one is expected")
        series, page = file.series[0], file.series[0].keyframe
        kind = tifffile.PHOTOMETRIC(page.photometric).name
        if kind not in ("MINISBLACK", "MINISWHITE", "RGB") or not {"Y", "X"} <= set(series.axes):
            what = f"image mode {kind} with axes {series.axes}"
            raise CommandError(f"cannot read {str(path)!r}: {what} is not supported; convert it to gray or RGB(A)")
        array, axes, icc_profile = series.asarray(), series.axes, page.iccprofile
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    if kind == "MINISWHITE":  # so that max pooling takes the brightest pixel, as in any other image
        array = np.invert(array) if array.dtype.kind in "ui" else -array
    return Raster(array, axes, icc_profile)


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Keep a library's log lines off stderr; its exceptions tell the user enough."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def check_writable(path: Path) -> None:
    """Raise CommandError where `write` is bound to fail, before any work is done."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise CommandError(f"cannot write {str(path)!r}: Is a directory")
    if target.exists() and not target.is_file():
        raise CommandError(f"cannot write {str(path)!r}: not a regular file")
    if not target.parent.is_dir():
        raise CommandError(f"cannot write {str(path)!r}: there is no folder {str(target.parent)!r}")


def write(path: Path, raster: Raster) -> None:
    """Write the raster in the format of the file's suffix; an existing file is replaced only by a complete one."""
    suffix = path.suffix.lower()
    with atomic(path) as handle:
        if suffix in ARRAY_SUFFIXES:
            np.save(handle, raster.array, allow_pickle=False)
        elif suffix in TIFF_SUFFIXES:
            _write_tiff(handle, raster)
        else:
            _write_pillow(handle, raster, PILLOW_SUFFIXES[suffix], path)


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file in the same folder that replaces `path` if the block succeeds, and is removed if not."""
    check_writable(path)
    target = Path(os.path.realpath(path))  # the file behind a link is replaced, not the link
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        # "x" makes the mode follow the umask, as an ordinary new file's does; tempfile's would be 0600.
        with open(temporary, "x+b") as handle:
            yield handle
        if target.exists():
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CommandError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        raise


def _write_pillow(handle: IO[bytes], raster: Raster, format_: str, path: Path) -> None:
    """A PNG or JPEG file."""
    with missing_extra():
        from PIL import Image

    array, axes = raster.array, raster.axes
    if axes is not None and axes.startswith("S") and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    samples = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    holds = {("PNG", "uint8"): (1, 2, 3, 4), ("PNG", "uint16"): (1,), ("JPEG", "uint8"): (1, 3)}
    if samples not in holds.get((format_, str(array.dtype)), ()) or 0 in array.shape:
        what = f"{array.dtype} array of shape {array.shape}"
        raise CommandError(f"cannot write {str(path)!r}: a {format_} file cannot hold a {what}; use .tiff or .npy")
    options: dict[str, Any] = {"quality": JPEG_QUALITY, "subsampling": 0} if format_ == "JPEG" else {}
    if raster.icc_profile:
        options["icc_profile"] = raster.icc_profile
    Image.fromarray(np.ascontiguousarray(array)).save(handle, format_, **options)


def _write_tiff(handle: IO[bytes], raster: Raster) -> None:
    """A TIFF file; the pages of a stack stay pages."""
    with missing_extra():
        import tifffile

    array = raster.array
    axes = raster.axes or ("YXS" if array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype.kind == "u" else "")
    samples = array.shape[axes.index("S")] if "S" in axes else 1
    options: dict[str, Any] = {"photometric": "rgb" if samples in (3, 4) else "minisblack"}
    if samples > 1:
        options["planarconfig"] = "contig" if axes.endswith("S") else "separate"
    if samples in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    if raster.icc_profile:
        options["iccprofile"] = raster.icc_profile
    with _quiet("tifffile"):
        tifffile.imwrite(handle, array, **options)
