"""The benchmark tool runs, says what is missing, and its results files have their fields. Times are not judged here."""

import ctypes
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import backward, backward_cases, check, cudnn, plot, report, short_run, timing
from benchmarks.cases import CASES, SMOKE_CASES, Case, select
from benchmarks.onnx_model import pooling_model
from gpupool.operators import OPERATORS

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.cpu_only


def run_tool(*arguments, module="benchmarks.run"):
    """Run a benchmark module in a process of its own: PyTorch and OpenCV bring threads and warnings along."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results file of the smoke cases, with every peer that is installed, and what was printed."""
    path = tmp_path_factory.mktemp("benchmarks") / "smoke.json"
    done = run_tool("--smoke", "--rounds", 3, "--case-seconds", 0.1, "--threads", 1, "--json", path)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(path.read_text()), done.stdout, path


def test_results_have_the_fields_that_a_claim_needs(results):
    data, _, _ = results
    assert data["threads"] == 1
    assert data["device"] == data["cpu"]
    assert set(data) >= {"date", "commit", "command", "summary", "not_run", "cpu_used_by_others"}
    assert data["command"].startswith("python -m benchmarks.run --smoke")
    assert data["versions"]["numpy"] == np.__version__
    assert "gpupool" in data["versions"]


def test_each_row_has_times_and_names_every_peer(results):
    data, _, _ = results
    assert [row["case"] for row in data["rows"]] == [case.id for case in SMOKE_CASES]
    for row in data["rows"]:
        assert row["errors"] == []
        assert min(row["gpupool_us"], row["gpupool_alloc_us"], row["copy_us"], *row["peers"].values()) > 0
        assert {"torch", "onnxruntime", "opencv", "skimage"} == set(row["peers"]) | set(row["missing"])
        assert not set(row["peers"]) & set(row["missing"])
        assert all(count >= 3 for count in row["samples"].values())
        assert set(row) >= {"case", "dtype", "layout", "bytes", "gpupool_us", "variant", "peers"}


def test_an_average_of_floats_shows_its_error(results):
    data, _, _ = results
    for case, row in zip(SMOKE_CASES, data["rows"], strict=True):
        if case.is_average and case.out_dtype is None:
            assert 0 <= row["ulp"]["gpupool"] <= 2
        else:
            assert row["ulp"] == {}


def test_table_names_what_is_missing(results):
    data, printed, _ = results
    for row in data["rows"]:
        assert row["case"] in printed
        for name, reason in row["missing"].items():
            assert f"{name}: {reason}" in printed


def test_plot_of_the_results(results, tmp_path):
    data, _, path = results
    if not any(row["peers"] for row in data["rows"]) or importlib.util.find_spec("matplotlib") is None:
        done = run_tool(path, "-o", tmp_path / "plot.png", module="benchmarks.plot")
        assert done.returncode != 0
        return
    done = run_tool(path, "-o", tmp_path / "plot.png", module="benchmarks.plot")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cases", "no such case"], "no such case"),
        (["--rounds", "0"], "--rounds"),
        (["--peers", "nobody"], "nobody"),
    ],
)
def test_bad_arguments_are_one_line(arguments, words):
    done = run_tool("--smoke", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_listing_cases_needs_no_gpu():
    found = run_tool("--device", "cuda", "--list")
    assert found.returncode == 0
    assert "max2d-k3s2p1-32x64x112x112-float16-channels_first" in found.stdout.splitlines()


def test_gradients_beside_pytorch(tmp_path):
    """The tool compares every gradient with PyTorch's; without PyTorch one line says so."""
    done = run_tool("--smoke", "--threads", 1, "--json", tmp_path / "rows.json", module="benchmarks.backward")
    if importlib.util.find_spec("torch") is None:
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        return
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "rows.json").read_text())
    rows, means = results["rows"], results["summary"]
    assert [row["case"] for row in rows] == [case.id for case in backward_cases.SMOKE]
    assert all(row["gpupool_us"] > 0 and row["peers"]["torch"] > 0 and row["copy_us"] > 0 for row in rows)
    assert all(row["both_us"]["gpupool"] > 0 and row["difference"] < 1e-5 for row in rows)
    assert means["geomean_to_fastest_peer"] > 0
    assert means["geomean_forward_and_backward"] > 0
    assert plot.drawable(results)  # `benchmarks.plot` reads such files, too


def test_wrong_gradients_are_errors():
    case = backward_cases.Case("avg_pool2d", (1, 2, 4, 4), (2, 2, 0), "x", "channels_last")
    wanted = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4)
    got = np.ascontiguousarray(np.moveaxis(wanted, 1, -1))
    wrapped = SimpleNamespace(numpy=lambda: wanted)
    assert backward.difference(case, got, wrapped) == 0
    got[0, 0, 0, 0] += 3.1
    assert backward.difference(case, got, wrapped) == pytest.approx(0.1)
    got[0, 0, 0, 0] = np.nan
    assert backward.difference(case, got, wrapped) == np.inf


def test_gradients_have_all_operators_and_names_of_their_own():
    cases = backward_cases.CASES + backward_cases.SMOKE
    assert len({case.id for case in cases}) == len(cases)
    assert {case.source for case in cases} == set(backward_cases.INDEX_BYTES)
    for row in OPERATORS.values():
        if row.gradient:
            known = {case.op[:-2] for case in backward_cases.CASES}
            assert known & set(row.families), row.name


@pytest.mark.parametrize("module", ["benchmarks.run", "benchmarks.short_run"])
def test_without_a_gpu_one_line_says_why(module, request):
    if request.config.getoption("--gpu"):
        return  # the gpu tier runs both modules itself
    done = run_tool(*(["--device", "cuda"] if module == "benchmarks.run" else []), module=module)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{module}: no CUDA device found")
    assert len(done.stderr.splitlines()) == 1


def test_case_names_are_unique_and_sizes_right():
    for device in ("cpu", "cuda"):
        names = [case.id for case in select(device)]
        assert len(names) == len(set(names))
    stem = Case("max", (32, 64, 112, 112), 3, 2, 1, layout="channels_last")
    assert stem.out_shape == (32, 64, 56, 56)
    assert stem.in_layout(stem.shape) == (32, 112, 112, 64)
    assert stem.bytes == 4 * 32 * 64 * (112 * 112 + 56 * 56)
    assert stem.id == "max2d-k3s2p1-32x64x112x112-float32-channels_last"
    whole = Case("global_avg", (64, 2048, 7, 7), dtype="uint8")
    assert (whole.out_shape, whole.result_dtype) == ((64, 2048, 1, 1), "float32")
    assert whole.function == "global_avg_pool2d"


def test_exact_result_and_error_in_ulp():
    case = Case("avg", (1, 1, 4, 4), 2, 2)
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    mean, ulp = check.exact(case, x)
    assert mean.ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert ulp.ravel().tolist() == np.spacing(np.float32([2.5, 4.5, 10.5, 12.5])).tolist()
    off = mean.astype(np.float32)
    assert check.error_in_ulp(case, x, off) == 0
    off[0, 0, 1, 1] = np.nextafter(off[0, 0, 1, 1], np.float32(100))
    assert check.error_in_ulp(case, x, off) == 1
    padded, _ = check.exact(Case("max", (1, 1, 3), 3, 2, 1), np.float32([[[-5, -2, -3]]]))
    assert padded.ravel().tolist() == [-2, -2]


def test_a_wrong_result_is_noticed():
    case = Case("max", (1, 1, 4), 2, 2)
    x = np.float32([[[1, 2, 3, 4]]])
    check.check_gpupool(case, x, np.float32([[[2, 4]]]))
    with pytest.raises(check.WrongResult, match="off by 1"):
        check.check_gpupool(case, x, np.float32([[[2, 3]]]))
    with pytest.raises(check.WrongResult, match="float64"):
        check.check_gpupool(case, x, np.float64([[[2, 4]]]))
    with pytest.raises(check.WrongResult, match="disagree"):
        check.check_peer(case, "peer", np.float32([[[2, 4]]]), np.float32([[[2, 5]]]))


def test_wrong_indices_and_other_operators_are_noticed():
    x = np.float32([[[1, 2, 4, 3]]])
    values, where = np.float32([[[2, 4]]]), np.int64([[[1, 2]]])
    case = Case("max", (1, 1, 4), 2, 2, indices=True)
    assert case.bytes == 4 * 4 + 2 * 12
    check.check_gpupool(case, x, (values, where))
    with pytest.raises(check.WrongResult, match="indices are not where"):
        check.check_gpupool(case, x, (values, where + 1))
    with pytest.raises(check.WrongResult, match="disagree about indices"):
        check.check_peer(case, "peer", (values, where), (values, where + 1))
    for op, wanted in {"min": [1, 3], "sum": [3, 7], "lp": [5**0.5, 5], "avg": [1.5, 3.5]}.items():
        one = Case(op, (1, 1, 4), 2, 2)
        check.check_gpupool(one, x, np.float32([[wanted]]))
        with pytest.raises(check.WrongResult, match="off by"):
            check.check_gpupool(one, x, np.float32([[wanted]]) * np.float32(1.01))
    shared = Case("adaptive_avg", (1, 1, 4), 3)
    assert (shared.out_shape, shared.id) == ((1, 1, 3), "adaptive_avg1d-o3-1x1x4-float32-channels_first")
    check.check_gpupool(shared, x, np.float32([[[1.5, 3, 3.5]]]))


def test_every_contender_leads_a_round_equally_often_and_gets_samples():
    def contender(name):
        return timing.Contender(name, lambda i: seen.append((name, i)))

    seen = []
    contenders = [contender(name) for name in "abc"]
    leaders = [order[0].name for _, order in timing.rotations(contenders, 6)]
    assert leaders == ["a", "b", "c"] * 2
    timing.measure_cpu(contenders, sets=4, rounds=3, seconds=0.01)
    assert all(len(c.samples) == 3 and c.seconds > 0 for c in contenders)
    assert {i for _, i in seen} == {0, 1, 2, 3}


def test_buffers_exceed_the_cache():
    assert timing.buffer_sets(1000, 32 << 20) == 1
    assert timing.buffer_sets(1 << 20, 32 << 20) * (1 << 20) >= 4 * (32 << 20)
    assert timing.buffer_sets(1 << 30, 32 << 20) == 1


def test_random_data_is_no_zeros():
    rng = np.random.default_rng(0)
    for dtype in ("float16", "float32", "float64", "uint8", "uint16", "int32"):
        data = timing.random_array(rng, (64, 64), dtype)
        assert data.dtype == dtype
        assert np.count_nonzero(data) > 4000


def test_summary_counts_only_rows_with_peers():
    rows = [report.Row("a", "f", "l", 1, 10.0, peers={"p": 40.0, "q": 20.0}, copy_us=5.0)]
    rows += [report.Row("b", "f", "l", 1, 10.0, peers={"p": 5.0}), report.Row("c", "f", "l", 1, 3.0)]
    totals = report.summary(rows)
    assert totals["geomean_to_fastest_peer"] == pytest.approx(1.0)
    assert totals["geomean_to_copy"] == 0.5
    assert totals["slower_than_a_peer"] == {"b": 0.5}


def test_onnx_model_is_read_back_by_onnx_runtime():
    model = pooling_model("MaxPool", "float32", (1, 1, 4), (1, 1, 2), {"kernel_shape": (2,), "strides": (2,)})
    assert b"MaxPool" in model
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": np.float32([[[1, 2, 4, 3]]])})
        assert y.ravel().tolist() == [2, 4]


def test_cudnn_strides_follow_the_layout():
    case = Case("max", (2, 3, 5, 7), 2, 2)
    assert cudnn.element_strides(case, case.shape) == [105, 35, 7, 1]
    last = Case("max", (2, 3, 5, 7), 2, 2, layout="channels_last")
    assert cudnn.element_strides(last, last.shape) == [105, 1, 21, 3]
    assert isinstance(cudnn._ints([1, 2]), ctypes.c_int * 2)


def test_the_slowest_row_is_the_one_furthest_from_copy_speed():
    rows = [{"case": case.id, "gpupool_us": 10.0, "copy_us": 9.0 - i} for i, case in enumerate(CASES[:3])]
    assert short_run.slowest_case({"rows": rows}) == CASES[2]
    with pytest.raises(ValueError, match="no measured row"):
        short_run.slowest_case({"rows": []})
