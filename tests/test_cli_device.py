"""The `gpupool` command and the machine: which device it takes, `info`, `demo`, and the command as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cli_tools import COMMAND, FakeDriver, blocks, fails, load, pixels, probe, run
from PIL import Image

import gpupool
from gpupool import cli, demo, device, info

pytestmark = pytest.mark.cpu_only  # what needs the simulator starts a process of its own


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """The device is chosen where a test says so."""
    monkeypatch.setattr(device, "gpu_problem", lambda driver: "a test")  # noqa: ARG005


# -- devices -----------------------------------------------------------------------------------------------------------


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
    def broken(array):
        raise RuntimeError("an illegal\nmemory access")

    gpu = device.Device("GPU 0", broken, broken, lambda: None)
    monkeypatch.setattr(device, "choose", lambda requested: gpu)  # noqa: ARG005
    np.save(tmp_path / "in.npy", np.ones((2, 2)))
    argv = ("pool", tmp_path / "in.npy", "-o", tmp_path / "out.npy", "--op", "max", "--window", 2)
    assert "GPU 0 failed: an illegal memory access" in fails(capsys, 1, *argv)


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
    monkeypatch.setitem(sys.modules, "cupy", None)
    text = info.report()
    assert "runs CUDA 13.1 and older" in text
    assert "GPU number 0, 80.0 GiB, compute capability 9.0" in text
    assert re.search(r"GPU path +unavailable: CuPy does not work: .*cupy", text, re.M)  # this driver only talks
    monkeypatch.setattr(device, "gpu", device.cpu)
    assert re.search(r"GPU path +available: a trial worked$", info.report(), re.M)
    monkeypatch.setattr(device, "simulator_is_on", lambda: True)
    assert re.search(r"GPU path +simulated", info.report())


def test_info_survives_a_broken_cuda(monkeypatch):
    for module in ("cuda", "cuda.core", "numba_cuda", "cupy"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(info, "version", lambda name: (_ for _ in ()).throw(info.PackageNotFoundError(name)))
    assert re.search(r"^cupy +not installed$", info.report(), re.M)


def test_demo(tmp_path, capsys):
    assert cli.main(["demo", "-o", str(tmp_path / "demo.png")]) == 0
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("Pooling a photograph on CPU")
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
    # A job in the background, and what it starts, ignores the signal unless told otherwise.
    listen = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{listen}; runpy.run_module('gpupool', run_name='__main__')"
    argv = [sys.executable, "-c", script, "pool", "in.npy", "-o", "out.npy", "--op", "max", "--window", "2"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        writer = open_for_writing(tmp_path / "in.npy", process)  # the command waits for data that never come
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
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
