"""`gpupool pool`: files in, files out, and what a run leaves behind."""

from __future__ import annotations

import os
import re
import stat

import numpy as np
import pytest
import tifffile
from cli_tools import blocks, load, pixels, pool
from PIL import Image

import gpupool
from gpupool import images

pytestmark = pytest.mark.cpu_only  # what needs the simulator starts a process of its own


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
