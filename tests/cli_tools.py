"""What the tests of the command share: ways to run it, pixels, and an NVIDIA driver made of Python."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from PIL import Image

from gpupool import cli, device

COMMAND = [sys.executable, "-W", "error", "-m", "gpupool"]


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


def run(*argv, cwd, **env):
    """The command in a process of its own."""
    return subprocess.run([*COMMAND, *map(str, argv)], cwd=cwd, env=os.environ | env, capture_output=True, text=True)


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
