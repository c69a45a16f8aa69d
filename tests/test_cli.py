"""The `gpupool` command: files in and out, the demo, the report, and every way in which it fails."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from PIL import Image

import gpupool
from gpupool import cli, demo, device, images, info

pytestmark = pytest.mark.cpu_only  # files and devices; what needs the simulator starts a process of its own

COMMAND = [sys.executable, "-W", "error", "-m", "gpupool"]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """The tests are about files; the device is chosen where a test says so."""
    monkeypatch.setattr(device, "gpu_problem", lambda driver: "a test")  # noqa: ARG005


def blocks(array, op, k, axes=(0, 1)):
    """k x k pooling by reshape; sizes divide."""
    moved = np.moveaxis(array, axes, (0, 1))
    height, width = moved.shape[:2]
    split = moved.reshape(height // k, k, width // k, k, *moved.shape[2:])
    pooled = split.max((1, 3)) if op == "max" else split.astype(np.float64).mean((1, 3))
    return np.moveaxis(pooled, (0, 1), axes)


def pixels(shape, dtype="uint8", seed=0):
    """Random pixels over the dtype's whole range."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def load(path):
    """The pixels as Pillow reads them."""
    with Image.open(path) as image:
        return np.array(image)


def fails(capsys, code, *argv):
    """Run the command, expect this exit code, and return the one line on stderr."""
    assert cli.main([str(a) for a in argv]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gpupool: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def pool(*argv):
    """`gpupool pool ... --device cpu`, which must succeed."""
    assert cli.main(["pool", *(str(a) for a in argv), "--device", "cpu"]) == 0


# -- images ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("samples", [(), (2,), (3,), (4,)], ids=["gray", "gray+alpha", "rgb", "rgba"])
def test_image_round_trip(tmp_path, op, suffix, samples):
    source = pixels((6, 8, *samples))
    images.write(tmp_path / f"in{suffix}", images.Raster(source, "YXS"[: source.ndim]))
    pool(tmp_path / f"in{suffix}", "-o", tmp_path / f"out{suffix}", "--op", op, "--window", 2)
    result = images.read(tmp_path / f"out{suffix}").array
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.rint(blocks(source, op, 2)))


@pytest.mark.parametrize(("suffix", "samples"), [(".png", ()), (".tif", ()), (".tif", (3,))])
@pytest.mark.parametrize("op", ["max", "avg"])
def test_16_bit(tmp_path, suffix, samples, op):
    source = pixels((4, 6, *samples), "uint16")
    images.write(tmp_path / f"in{suffix}", images.Raster(source, "YXS"[: source.ndim]))
    pool(tmp_path / f"in{suffix}", "-o", tmp_path / f"out{suffix}", "--op", op, "--window", 2)
    result = images.read(tmp_path / f"out{suffix}").array
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, np.rint(blocks(source, op, 2)))


def test_average_rounds_half_to_even(tmp_path):
    Image.fromarray(np.array([[0, 1, 1, 2, 254, 255]], np.uint8)).save(tmp_path / "in.png")
    pool(tmp_path / "in.png", "-o", tmp_path / "out.png", "--op", "avg", "--window", "1,2")
    np.testing.assert_array_equal(load(tmp_path / "out.png"), [[0, 2, 254]])


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg(tmp_path, suffix):
    smooth = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (64, 64, 3))
    Image.fromarray(np.ascontiguousarray(smooth)).save(tmp_path / f"in{suffix}", quality=100)
    pool(tmp_path / f"in{suffix}", "-o", tmp_path / f"out{suffix}", "--op", "avg", "--window", 2)
    result = load(tmp_path / f"out{suffix}")
    assert result.shape == (32, 32, 3)
    assert np.abs(result.astype(int) - blocks(smooth, "avg", 2)).max() <= 4  # JPEG is lossy


def test_one_format_to_another(tmp_path):
    source = pixels((4, 4, 3))
    Image.fromarray(source).save(tmp_path / "in.png")
    for name in ("out.tif", "out.npy"):
        pool(tmp_path / "in.png", "-o", tmp_path / name, "--op", "max", "--window", 2)
        np.testing.assert_array_equal(images.read(tmp_path / name).array, blocks(source, "max", 2))


def test_palette_is_averaged_as_colours(tmp_path):
    image = Image.new("P", (2, 2))
    image.putpalette([0, 0, 0, 200, 100, 50] + [0] * 762)
    image.putdata([0, 1, 1, 0])
    image.save(tmp_path / "in.png")
    pool(tmp_path / "in.png", "-o", tmp_path / "out.png", "--op", "avg", "--window", 2)
    np.testing.assert_array_equal(load(tmp_path / "out.png"), [[[100, 50, 25]]])


@pytest.mark.parametrize(
    ("mode", "transparent", "samples"), [("1", None, 0), ("L", 0, 2), ("RGB", (0, 0, 0), 4), ("P", 0, 4)]
)
def test_other_png_modes(tmp_path, mode, transparent, samples):
    options = {} if transparent is None else {"transparency": transparent}
    Image.new(mode, (4, 4)).save(tmp_path / "in.png", **options)
    pool(tmp_path / "in.png", "-o", tmp_path / "out.png", "--op", "max", "--window", 2)
    result = load(tmp_path / "out.png")
    assert result.shape == ((2, 2, samples) if samples else (2, 2))
    assert result.dtype == np.uint8
    assert not result.any()


def test_colour_profile_and_rotation(tmp_path):
    source = Image.fromarray(pixels((2, 4, 3)))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    source.save(tmp_path / "in.png", exif=exif, icc_profile=b"a profile")
    pool(tmp_path / "in.png", "-o", tmp_path / "out.png", "--op", "max", "--window", "2,1")
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == (2, 2)
        assert result.info["icc_profile"] == b"a profile"
    pool(tmp_path / "in.png", "-o", tmp_path / "out.tif", "--op", "max", "--window", 2)
    assert images.read(tmp_path / "out.tif").icc_profile == b"a profile"


def test_tiff_stack_and_planes(tmp_path):
    stack = pixels((3, 4, 6), "uint16")
    tifffile.imwrite(tmp_path / "in.tif", stack, photometric="minisblack")
    pool(tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--op", "max", "--window", 2)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), blocks(stack, "max", 2, (1, 2)))
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert len(file.pages) == 3

    planes = pixels((3, 4, 6))
    tifffile.imwrite(tmp_path / "in.tif", planes, photometric="rgb", planarconfig="separate")
    pool(tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--op", "max", "--window", 2)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), blocks(planes, "max", 2, (1, 2)))
    pool(tmp_path / "in.tif", "-o", tmp_path / "out.png", "--op", "max", "--window", 2)
    expected = np.moveaxis(blocks(planes, "max", 2, (1, 2)), 0, -1)
    np.testing.assert_array_equal(load(tmp_path / "out.png"), expected)


def test_tiff_float_and_white_is_zero(tmp_path):
    values = np.random.default_rng(1).random((4, 4), np.float32)
    tifffile.imwrite(tmp_path / "in.tif", values, photometric="minisblack")
    pool(tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--op", "avg", "--window", 2)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), blocks(values, "avg", 2), rtol=2e-7)

    tifffile.imwrite(tmp_path / "in.tif", np.array([[0, 255], [255, 255]], np.uint8), photometric="miniswhite")
    pool(tmp_path / "in.tif", "-o", tmp_path / "out.png", "--op", "max", "--window", 2)
    np.testing.assert_array_equal(load(tmp_path / "out.png"), [[255]])  # one white pixel


def test_every_option_reaches_the_library(tmp_path):
    source = pixels((9, 11))
    np.save(tmp_path / "in.npy", source)
    options = "--window 3,2 --stride 2,1 --padding 1:0,0:1 --dilation 1,2 --ceil --no-count-include-pad --dtype float64"
    pool(tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "avg", *options.split())
    result = np.load(tmp_path / "out.npy")
    expected = gpupool.pool(source, "avg", (3, 2), stride=(2, 1), padding=((1, 0), (0, 1)), dilation=(1, 2),
                            ceil_mode=True, count_include_pad=False, dtype=np.float64)  # fmt: skip
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("padding", ["same", "same_lower", "valid", "1", "1,0"])
def test_padding_words_and_numbers(tmp_path, padding):
    source = pixels((5, 7))
    Image.fromarray(source).save(tmp_path / "in.png")
    pool(tmp_path / "in.png", "-o", tmp_path / "out.png", "--op", "max", "--window", 3, "--padding", padding)
    given = padding if padding.isalpha() or "_" in padding else tuple(map(int, padding.split(",")))
    expected = gpupool.pool(source, "max", (3, 3), padding=given * 2 if given == (1,) else given)
    np.testing.assert_array_equal(load(tmp_path / "out.png"), expected)


# -- arrays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [((4, 6), "--window 2", (0, 1)), ((2, 3, 4, 6), "--window 2", (2, 3)), ((4, 6, 3), "--window 2 --axes 0,1", (0, 1)),
     ((2, 4, 6, 3), "--window 2 --axes=-3,-2", (1, 2)), ((3, 4, 6), "--window 1,2,2", (1, 2))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "float32", ">i4", "bool"])
def test_npy_axes(tmp_path, shape, options, axes, dtype):
    source = pixels(shape).astype(dtype)
    np.save(tmp_path / "in.npy", source)
    pool(tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "max", *options.split())
    result = np.load(tmp_path / "out.npy")
    assert result.dtype == source.dtype.newbyteorder("=")
    np.testing.assert_array_equal(result, blocks(source, "max", 2, axes))


def test_npy_average_is_floating_point(tmp_path):
    np.save(tmp_path / "in.npy", np.array([1, 2, 4, 5], np.uint8))
    pool(tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "avg", "--window", 2)
    result = np.load(tmp_path / "out.npy")
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [1.5, 4.5])


# -- what a run leaves behind ------------------------------------------------------------------------------------------


def test_one_line_of_output(tmp_path, capsys):
    Image.fromarray(pixels((4, 6, 3))).save(tmp_path / "in.png")
    pool(tmp_path / "in.png", "-o", tmp_path / "out.png", "--op", "avg", "--window", 2)
    out, err = capsys.readouterr()
    assert err == ""
    assert re.fullmatch(r".*out\.png: avg pooling on CPU \(\d+ threads?\), 4 x 6 x 3 uint8 -> 2 x 3 x 3 uint8\n", out)


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_mode_link_and_in_place(tmp_path):
    Image.fromarray(pixels((4, 4))).save(tmp_path / "real.png")
    os.chmod(tmp_path / "real.png", 0o640)
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    pool(tmp_path / "link.png", "-o", tmp_path / "link.png", "--op", "max", "--window", 2)
    assert (tmp_path / "link.png").is_symlink()
    assert load(tmp_path / "real.png").shape == (2, 2)
    assert stat.S_IMODE((tmp_path / "real.png").stat().st_mode) == 0o640
    umask = os.umask(0)
    os.umask(umask)
    pool(tmp_path / "link.png", "-o", tmp_path / "new.png", "--op", "max", "--window", 2)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == 0o666 & ~umask


def test_existing_output_survives_every_failure(tmp_path, capsys, monkeypatch):
    Image.fromarray(pixels((4, 4))).save(tmp_path / "in.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "in.png").read_bytes()[:60])
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    common = ("-o", out, "--op", "max", "--window")
    fails(capsys, 1, "pool", tmp_path / "missing.png", *common, 2)
    fails(capsys, 1, "pool", tmp_path / "bad.png", *common, 2)
    fails(capsys, 1, "pool", tmp_path / "in.png", *common, 5)

    def full_disk(handle, *_):
        handle.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "_write_pillow", full_disk)
    assert "No space left on device" in fails(capsys, 1, "pool", tmp_path / "in.png", *common, 2)
    monkeypatch.setattr(images, "_write_pillow", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert "interrupted" in fails(capsys, 130, "pool", tmp_path / "in.png", *common, 2)
    assert out.read_bytes() == b"precious"
    assert {p.name for p in tmp_path.iterdir()} == {"in.png", "bad.png", "out.png"}


# -- failures ----------------------------------------------------------------------------------------------------------


USAGE = [
    ("", "required"),
    ("swim", "invalid choice: 'swim'"),
    ("pool", "required: INPUT, -o/--output, --op, --window"),
    ("pool in.png -o out.png --op median --window 2", "invalid choice: 'median'"),
    ("pool in.png -o out.png --op max --window 0", "--window: '0' must be 1 or more"),
    ("pool in.png -o out.png --op max --window two", "--window: 'two' is not an integer"),
    ("pool in.png -o out.png --op max --window 2 --stride 0", "--stride: '0' must be 1 or more"),
    ("pool in.png -o out.png --op max --window 2 --dilation 0", "--dilation: '0' must be 1 or more"),
    ("pool in.png -o out.png --op max --window 2 --padding=-1", "--padding: '-1' must be 0 or more"),
    (
        "pool in.png -o out.png --op max --window 2 --padding full",
        "'full' is not an integer, same, same_lower or valid",
    ),
    ("pool in.png -o out.png --op max --window 2 --padding 1:2:3", "is not BEFORE:AFTER per axis"),
    ("pool in.png -o out.png --op max --window 2 --device tpu", "invalid choice: 'tpu'"),
    ("pool in.png -o out.png --op max --window 2 --dtype uint8", "--dtype applies to --op avg only"),
    ("pool in.png -o out.png --op avg --window 2 --dtype u9", "'u9' is not a dtype"),
    ("pool in.png -o out.png --op max --window 2 --axes 0,1", "--axes applies to .npy files only"),
    ("pool in.gif -o out.png --op max --window 2", "INPUT 'in.gif': unknown suffix '.gif'; use one of .png, .jpg"),
    ("pool in.png -o out --op max --window 2", "OUTPUT 'out': unknown suffix ''"),
    ("demo -o demo.jpg", "the picture is a .png file"),
    ("info --loud", "unrecognized arguments: --loud"),
]


@pytest.mark.parametrize(("line", "message"), USAGE, ids=[line or "nothing" for line, _ in USAGE])
def test_usage(capsys, line, message):
    assert message in fails(capsys, 2, *line.split())


def write_16_bit_rgb_png(path):
    """Pillow cannot write one: an 8-bit header is changed."""
    Image.new("RGB", (2, 2)).save(path)
    data = bytearray(path.read_bytes())
    data[24] = 16
    path.write_bytes(data)


def write_archive(path):
    with open(path, "wb") as handle:
        np.savez(handle, a=1)


def write_animation(path):
    first, second = Image.new("L", (2, 2), 0), Image.new("L", (2, 2), 255)
    first.save(path, save_all=True, append_images=[second])


BROKEN = {
    "missing.png": (lambda path: None, "No such file or directory"),  # noqa: ARG005
    "folder.png": (lambda path: path.mkdir(), "Is a directory"),
    "folder.npy": (lambda path: path.mkdir(), "Is a directory"),
    "empty.png": (lambda path: path.touch(), "cannot identify image file"),
    "empty.npy": (lambda path: path.touch(), "cannot read"),
    "empty.tif": (lambda path: path.touch(), "cannot read"),
    "text.png": (lambda path: path.write_text("hello"), "cannot identify image file"),
    "text.npy": (lambda path: path.write_text("hello"), "cannot read"),
    "text.tif": (lambda path: path.write_text("hello"), "not a TIFF file"),
    "cmyk.jpg": (lambda path: Image.new("CMYK", (2, 2)).save(path), "image mode CMYK is not supported"),
    "deep.png": (write_16_bit_rgb_png, "16-bit PNG with colour"),
    "moving.png": (write_animation, "an animated PNG"),
    "object.npy": (lambda path: np.save(path, np.array([{}]), allow_pickle=True), "allow_pickle"),
    "complex.npy": (lambda path: np.save(path, np.ones((2, 2), complex)), "complex128"),
    "scalar.npy": (lambda path: np.save(path, np.float32(1)), "shape ()"),
    "archive.npy": (write_archive, "not a .npy file"),
    "palette.tif": (lambda path: Image.new("P", (2, 2)).save(path), "image mode PALETTE"),
    "cmyk.tif": (lambda path: Image.new("CMYK", (2, 2)).save(path), "image mode SEPARATED"),
    "two.tif": (lambda path: [tifffile.imwrite(path, pixels((n, n)), append=n > 4) for n in (4, 6)], "holds 2 images"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unreadable_input(tmp_path, capsys, name):
    make, message = BROKEN[name]
    make(tmp_path / name)
    line = fails(capsys, 1, "pool", tmp_path / name, "-o", tmp_path / "out.npy", "--op", "max", "--window", 2)
    assert message in line
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".npy"])
def test_truncated_input(tmp_path, capsys, suffix):
    images.write(tmp_path / f"whole{suffix}", images.Raster(pixels((64, 64))))
    data = (tmp_path / f"whole{suffix}").read_bytes()
    for length in (8, 20, 60, len(data) // 2):
        (tmp_path / f"in{suffix}").write_bytes(data[:length])
        argv = ("pool", tmp_path / f"in{suffix}", "-o", tmp_path / "out.npy", "--op", "max", "--window", 2)
        assert "cannot read" in fails(capsys, 1, *argv)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read and write everything")
def test_permissions(tmp_path, capsys):
    source = tmp_path / "in.png"
    Image.fromarray(pixels((4, 4))).save(source)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    argv = ("--op", "max", "--window", 2)
    assert "Permission denied" in fails(capsys, 1, "pool", source, "-o", locked / "out.png", *argv)
    source.chmod(0)
    assert "Permission denied" in fails(capsys, 1, "pool", source, "-o", tmp_path / "out.png", *argv)


OUTPUTS = {
    "folder.png": ((4, 4, 3), "uint8", "Is a directory"),
    "nowhere/out.png": ((4, 4, 3), "uint8", "there is no folder"),
    "rgba.jpg": ((4, 4, 4), "uint8", "a JPEG file cannot hold a uint8 array of shape (2, 2, 4); use .tiff or .npy"),
    "deep.jpg": ((4, 4), "uint16", "a JPEG file cannot hold a uint16 array"),
    "deep.png": ((4, 4, 3), "uint16", "a PNG file cannot hold a uint16 array"),
    "float.png": ((4, 4), "float32", "a PNG file cannot hold a float32 array"),
    "five.png": ((4, 4, 5), "uint8", "a PNG file cannot hold a uint8 array of shape (2, 2, 5)"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_that_cannot_be(tmp_path, capsys, name):
    shape, dtype, message = OUTPUTS[name]
    np.save(tmp_path / "in.npy", np.ones(shape, dtype))
    (tmp_path / "folder.png").mkdir()
    argv = ("pool", tmp_path / "in.npy", "-o", tmp_path / name, "--op", "max", "--window", 2, "--axes", "0,1")
    assert message in fails(capsys, 1, *argv)
    assert {p.name for p in tmp_path.iterdir()} == {"in.npy", "folder.png"}


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no device files here")
def test_a_device_file_is_not_replaced(tmp_path, capsys):
    (tmp_path / "null.npy").symlink_to("/dev/null")
    np.save(tmp_path / "in.npy", np.ones((2, 2)))
    argv = ("pool", tmp_path / "in.npy", "-o", tmp_path / "null.npy", "--op", "max", "--window", 2)
    assert "not a regular file" in fails(capsys, 1, *argv)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_library_errors_are_one_line(tmp_path, capsys):
    np.save(tmp_path / "in.npy", np.ones((4, 4)))
    argv = ("pool", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "max")
    assert "window" in fails(capsys, 1, *argv, "--window", 5)
    assert "stride" in fails(capsys, 1, *argv, "--window", 2, "--stride", "1,2,3")
    assert "axes" in fails(capsys, 1, *argv, "--window", 2, "--axes", "0,7")
    avg = ("pool", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "avg", "--window", 2)
    assert "dtype" in fails(capsys, 1, *avg, "--dtype", "complex64")


@pytest.mark.parametrize(
    ("module", "package"), [("PIL", "pillow"), ("tifffile", "tifffile"), ("skimage", "scikit-image")]
)
def test_missing_extra(tmp_path, capsys, monkeypatch, module, package):
    source = tmp_path / ("in.tif" if module == "tifffile" else "in.png")
    images.write(source, images.Raster(pixels((4, 4))))
    if module == "skimage":
        monkeypatch.setattr(demo, "find_spec", lambda name: None)  # noqa: ARG005
        argv = ("demo", "-o", tmp_path / "demo.png")
    else:
        monkeypatch.setitem(sys.modules, module, None)
        argv = ("pool", source, "-o", tmp_path / "out.npy", "--op", "max", "--window", 2)
    line = fails(capsys, 1, *argv)
    assert f"{package}, which is not installed" in line
    assert 'pip install "gpupool[image]"' in line


# -- devices -----------------------------------------------------------------------------------------------------------


class FakeDriver:
    """libcuda as ctypes sees it: every function takes pointers made by byref, and returns an error code."""

    def __init__(self, init=0, count=1, version=13010, capability=(9, 0)):
        self.init, self.count, self.version, self.capability = init, count, version, capability

    def cuDriverGetVersion(self, out):
        out._obj.value = self.version
        return 0

    def cuInit(self, flags):
        assert flags == 0
        return self.init

    def cuGetErrorString(self, code, out):
        out._obj.value = b"no CUDA-capable device is detected" if code == 100 else None
        return 0

    def cuDeviceGetCount(self, out):
        out._obj.value = self.count
        return 0

    def cuDeviceGet(self, out, index):
        out._obj.value = index
        return 0

    def cuDeviceGetName(self, buffer, size, handle):
        buffer.value = f"GPU number {handle}".encode()[: size - 1]
        return 0

    def cuDeviceTotalMem_v2(self, out, handle):
        assert handle >= 0
        out._obj.value = 80 * 2**30
        return 0

    def cuDeviceGetAttribute(self, out, which, handle):
        assert handle >= 0
        out._obj.value = self.capability[which - 75]
        return 0


def probe(monkeypatch, **driver):
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: FakeDriver(**driver))  # noqa: ARG005
    return device.probe_driver()


def test_driver_probe(monkeypatch):
    found = probe(monkeypatch, count=2)
    assert found.cuda == (13, 1)
    assert found.problem is None
    assert found.gpus[1] == ("GPU number 1", 80 * 2**30, (9, 0))
    assert probe(monkeypatch, count=0).problem == "the NVIDIA driver finds no GPU"
    assert "no CUDA-capable device is detected (error 100)" in probe(monkeypatch, init=100).problem
    assert "unknown error (error 999)" in probe(monkeypatch, init=999).problem
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: object())  # noqa: ARG005
    assert "the NVIDIA driver does not work" in device.probe_driver().problem


def test_what_to_install(monkeypatch):
    monkeypatch.undo()  # the real gpu_problem
    monkeypatch.setattr(device, "installed", lambda name: name != "cupy")
    assert device.gpu_problem(probe(monkeypatch)) == 'CuPy not installed: pip install "gpupool[cuda13]"'
    assert "gpupool[cuda12]" in device.gpu_problem(probe(monkeypatch, version=12080))
    assert "too old" in device.gpu_problem(probe(monkeypatch, capability=(7, 0)))
    monkeypatch.setattr(device, "installed", lambda name: True)  # noqa: ARG005
    assert device.gpu_problem(probe(monkeypatch)) is None
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert "https://www.nvidia.com/drivers" in device.gpu_problem(device.probe_driver())


def test_cuda_asked_for_but_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(device, "simulator_is_on", lambda: False)
    np.save(tmp_path / "in.npy", np.ones((2, 2)))
    argv = ["pool", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "max", "--window", 2, "--device"]
    assert "--device cuda: a test" in fails(capsys, 1, *argv, "cuda")
    assert not (tmp_path / "out.npy").exists()
    monkeypatch.setattr(device, "gpu_problem", lambda driver: None)  # noqa: ARG005
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert "CuPy does not work" in fails(capsys, 1, *argv, "cuda")
    assert cli.main([str(a) for a in [*argv, "auto"]]) == 0  # auto falls back, and says where it ran
    assert "on CPU" in capsys.readouterr().out


def test_a_failing_gpu_is_one_line(tmp_path, capsys, monkeypatch):
    def broken(array):  # noqa: ARG001
        raise RuntimeError("an illegal\nmemory access")

    gpu = device.Device("GPU 0", broken, broken, lambda: None)
    monkeypatch.setattr(device, "choose", lambda requested: gpu)  # noqa: ARG005
    np.save(tmp_path / "in.npy", np.ones((2, 2)))
    argv = ("pool", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "max", "--window", 2)
    assert "GPU 0 failed: an illegal memory access" in fails(capsys, 1, *argv)


def run(*argv, cwd, **env):
    """The command in a process of its own."""
    return subprocess.run([*COMMAND, *map(str, argv)], cwd=cwd, env=os.environ | env, capture_output=True, text=True)


def test_cuda_device_in_the_simulator(tmp_path):
    source = pixels((4, 6, 2))
    Image.fromarray(source).save(tmp_path / "in.png")
    argv = ("pool", "in.png", "-o", "out.png", "--op", "avg", "--window", 2, "--device", "cuda")
    done = run(*argv, cwd=tmp_path, NUMBA_ENABLE_CUDASIM="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "avg pooling on CUDA simulator" in done.stdout
    np.testing.assert_array_equal(load(tmp_path / "out.png"), np.rint(blocks(source, "avg", 2)))


# -- info and demo -----------------------------------------------------------------------------------------------------


def test_info(capsys, monkeypatch):
    monkeypatch.setattr(device, "simulator_is_on", lambda: False)
    assert cli.main(["info"]) == 0
    lines = dict(re.split(r"\s{2,}|(?<=driver) |(?<=-image) ", line, maxsplit=1)
                 for line in capsys.readouterr().out.splitlines() if line)  # fmt: skip
    assert lines["gpupool"] == info.version("gpupool")
    assert lines["numba"] == info.version("numba")
    assert lines["python"].startswith(sys.version.split()[0])
    assert f"{gpupool.get_num_threads()} threads for gpupool" in lines["CPU"]
    assert lines["GPU path"] == "unavailable: a test"


def test_info_with_gpus_and_simulator(monkeypatch):
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: FakeDriver())  # noqa: ARG005
    monkeypatch.setattr(device, "gpu_problem", lambda driver: None)  # noqa: ARG005
    monkeypatch.setattr(device, "simulator_is_on", lambda: False)
    text = info.report()
    assert "runs CUDA 13.1 and older" in text
    assert "GPU number 0, 80.0 GiB, compute capability 9.0" in text
    assert re.search(r"GPU path +available$", text, re.M)
    monkeypatch.setattr(device, "simulator_is_on", lambda: True)
    assert re.search(r"GPU path +simulated", info.report())


def test_info_survives_a_broken_cuda(monkeypatch):
    for module in ("cuda", "cuda.core", "numba_cuda", "cupy"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(info, "version", lambda name: (_ for _ in ()).throw(info.PackageNotFoundError(name)))
    assert "cupy           not installed" in info.report()


def test_demo(tmp_path, capsys):
    assert cli.main(["demo", "-o", str(tmp_path / "demo.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["device", "operation", "in", "out", "dtype", "time", "GB/s"]
    for line, name, out in zip(lines[2:5], ("max 8x8", "average 8x8", "global average"),
                               ("37x56x3", "37x56x3", "1x1x3"), strict=True):  # fmt: skip
        assert re.search(rf"CPU \(\d+ threads?\) +{name} +300x451x3 +{out} +uint8 -> \w+ +\d+ us +\d+\.\d\d$", line)
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.size[0] > 1000
        seen = np.array(picture)
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 1000  # the photograph is there


def test_demo_pools_what_it_shows():
    photo = demo.load_photo()
    highest, mean, overall = (row.result for row in demo.pool_three_ways(photo, device.cpu()))
    used = photo[:296, :448]
    np.testing.assert_array_equal(highest, blocks(used, "max", 8))
    np.testing.assert_array_equal(mean, np.rint(blocks(used, "avg", 8)))
    np.testing.assert_allclose(overall.reshape(3), photo.mean((0, 1)), rtol=1e-6)


# -- as a process ------------------------------------------------------------------------------------------------------


def test_version_and_help(tmp_path):
    assert run("--version", cwd=tmp_path).stdout == f"gpupool {info.version('gpupool')}\n"
    for argv in (("--help",), ("pool", "--help"), ("demo", "--help"), ("info", "--help")):
        done = run(*argv, cwd=tmp_path)
        assert done.returncode == 0
        assert done.stdout.startswith("usage: gpupool")


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_broken_pipe(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run([*COMMAND, "info"], cwd=tmp_path, stdout=closed, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals and named pipes")
def test_ctrl_c(tmp_path):
    os.mkfifo(tmp_path / "in.npy")
    argv = [sys.executable, "-m", "gpupool", "pool", "in.npy", "-o", "out.npy", "--op", "max", "--window", "2"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        writer = open_for_writing(tmp_path / "in.npy", process)  # the command waits for data that never come
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    os.close(writer)
    assert (process.returncode, err) == (130, "gpupool: error: interrupted\n")
    assert not (tmp_path / "out.npy").exists()


def open_for_writing(pipe, process):
    """The writing end of a named pipe, as soon as the process has opened the reading end."""
    while process.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.02)
    raise AssertionError(process.stderr.read())
