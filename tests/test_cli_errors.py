"""Every way in which the `gpupool` command fails: one line, an exit code, and the output as it was."""

from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest
import tifffile
from cli_tools import fails, pixels
from PIL import Image

from gpupool import demo, device, images

pytestmark = pytest.mark.cpu_only  # what needs the simulator starts a process of its own


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """The tests are about files, whatever the machine has."""
    monkeypatch.setattr(device, "gpu_problem", lambda driver: "a test")  # noqa: ARG005


# -- failures ----------------------------------------------------------------------------------------------------------


USAGE = [
    ("", "required"),
    ("swim", "invalid choice: 'swim'"),
    ("pool", "required: INPUT, -o/--output, --op, --window"),
    ("pool in.png -o out.png --op mean --window 2", "invalid choice: 'mean'"),
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
    ("pool in.png -o out.png --op max --window 2 --dtype uint8", "--dtype applies to --op avg, sum, median only"),
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
    "empty.png": (lambda path: path.touch(), "not a PNG or JPEG file"),
    "empty.npy": (lambda path: path.touch(), "cannot read"),
    "empty.tif": (lambda path: path.touch(), "cannot read"),
    "text.png": (lambda path: path.write_text("hello"), "not a PNG or JPEG file"),
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
