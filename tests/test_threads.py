"""The CPU engine under threads and after fork: right answers, the same bits, no deadlock."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import compare
import numpy as np
import pytest
import reference

import gpupool as gp
from gpupool import threads
from gpupool.kernels.cpu import jit

pytestmark = pytest.mark.cpu_only
RNG = np.random.default_rng(7)
IMAGE = RNG.standard_normal((3, 300, 401)).astype(np.float32)
PHOTO = RNG.integers(0, 256, (401, 307, 3), dtype=np.uint8)

CALLS = {
    "max": lambda: gp.max_pool2d(IMAGE, 3, 2, 1),
    "avg": lambda: gp.avg_pool2d(IMAGE, 3, 1, 1),
    "avg 9x9": lambda: gp.avg_pool2d(IMAGE, 9, 3),
    "indices": lambda: gp.max_pool2d(IMAGE, 2, return_indices=True)[1],
    "channels last": lambda: gp.avg_pool2d(PHOTO, 2, data_format="channels_last"),
    "transposed": lambda: gp.max_pool2d(IMAGE.transpose(0, 2, 1), 2),
    "global avg": lambda: gp.global_avg_pool2d(IMAGE),
    "global max": lambda: gp.global_max_pool2d(IMAGE[0]),
    "global channels last": lambda: gp.global_avg_pool2d(PHOTO, data_format="channels_last"),
    "outer axes": lambda: gp.pool(IMAGE, "avg", (3, 1, 2), axes=(0, 1, 2)),
}


@pytest.fixture(autouse=True)
def _restore_threads():
    before = gp.get_num_threads()
    yield
    gp.set_num_threads(before)


@pytest.mark.parametrize("name", CALLS)
def test_same_bits_for_any_number_of_threads(name):
    """1, 2, 3 and 8 threads give one result, bit for bit."""
    results = []
    for n in (1, 2, 3, 8):
        gp.set_num_threads(n)
        assert gp.get_num_threads() == n
        results.append(CALLS[name]().tobytes())
    assert len(set(results)) == 1


def test_the_large_calls_are_right():
    """The sizes above are large enough to be split; a sample of them against the oracle."""
    gp.set_num_threads(3)
    part = IMAGE[:, :40, :50]
    got = gp.max_pool2d(IMAGE, 3, 2, 1)
    want = reference.call("max_pool2d", part, kernel_size=3, stride=2, padding=1).values
    compare.assert_same_bits(got[:, :19, :24], want[:, :19, :24])
    last = PHOTO[-41:, -37:]
    got = gp.avg_pool2d(PHOTO, 2, 1, data_format="channels_last")
    want = reference.call("avg_pool2d", last, kernel_size=2, stride=1, data_format="channels_last").values
    compare.assert_same_bits(got[-40:, -36:], want)
    assert gp.global_max_pool2d(IMAGE).ravel().tolist() == [plane.max() for plane in IMAGE]


def test_eight_threads_at_once():
    """Eight Python threads, each of which pools with several threads of its own: every answer is the serial one."""
    gp.set_num_threads(1)
    want = {name: call().tobytes() for name, call in CALLS.items()}
    gp.set_num_threads(3)
    jobs = [name for _ in range(12) for name in CALLS]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda name: CALLS[name]().tobytes(), jobs, timeout=120))
    assert [name for name, result in zip(jobs, got, strict=True) if result != want[name]] == []


def test_threads_that_change_the_number_of_threads():
    """set_num_threads while others pool: nobody hangs, nobody is wrong."""
    want = CALLS["max"]().tobytes()

    def work(i):
        if i % 4 == 0:
            gp.set_num_threads(1 + i % 3)
        return CALLS["max"]().tobytes() == want

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64), timeout=120))


@jit.kernel
def count_units(counts, limit, start, stop):
    """One more for each unit; an error in the piece that goes beyond the limit."""
    p = jit.pointer(counts, np.dtype(np.int64))
    for i in range(start, stop):
        p[i] += 1
    if stop > limit:
        raise MemoryError("no memory for buffers")


def test_every_unit_runs_once():
    """8 callers share 3 workers, which meet work while they look for it and while they sleep."""
    gp.set_num_threads(4)
    code = jit.compiled(count_units, 4, ())

    def call(i):
        counts = np.zeros(97 + i % 5, np.int64)
        threads.run_pieces(code, (counts.ctypes.data, counts.size), (), counts.size, 3)
        if i % 37 == 0:
            time.sleep(0.002)
        return counts.tolist() == [1] * counts.size

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(4000), timeout=120))


def test_an_error_in_a_piece_is_raised():
    """Whichever thread meets it; and the next call works."""
    gp.set_num_threads(3)
    code = jit.compiled(count_units, 4, ())
    counts = np.zeros(100, np.int64)
    for limit in (99, 50, 1):
        with pytest.raises(MemoryError, match="no memory for buffers"):
            threads.run_pieces(code, (counts.ctypes.data, limit), (), counts.size)
    counts[:] = 0
    threads.run_pieces(code, (counts.ctypes.data, 100), (), counts.size)
    assert counts.tolist() == [1] * 100


def test_no_more_threads(monkeypatch):
    """Where the system refuses new threads, the caller does the work alone."""
    want = CALLS["max"]().tobytes()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_crew", None)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    gp.set_num_threads(3)
    assert CALLS["max"]().tobytes() == want


def test_idle_workers_sleep():
    """They look for work for a moment only."""
    gp.set_num_threads(3)
    CALLS["max"]()
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05


def python(script, **environment):
    """Run a script in a process of its own; its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_can_pool():
    """The parent's pool is running when it forks; the child's call, and its own child's, give the parent's bits."""
    assert python("""
        import os, signal, sys
        import numpy as np
        import gpupool as gp
        x = np.arange(600_000, dtype=np.float32).reshape(2, 500, 600)
        gp.set_num_threads(3)
        want = gp.avg_pool2d(x, 3, 1).tobytes()

        def child(depth):
            signal.alarm(60)  # a deadlock ends the child, not the test run
            ok = gp.avg_pool2d(x, 3, 1).tobytes() == want
            if depth:
                ok = ok and fork(depth - 1)
            os._exit(0 if ok else 3)

        def fork(depth):
            pid = os.fork()
            if pid == 0:
                child(depth)
            return os.waitpid(pid, 0)[1] == 0

        assert all(fork(1) for _ in range(3))
        assert gp.avg_pool2d(x, 3, 1).tobytes() == want
        print("fine")
    """) == ["fine"]


def test_multiprocessing_fork():
    """multiprocessing's fork start method, as PyTorch's DataLoader uses it."""
    assert python("""
        import multiprocessing
        import numpy as np
        import gpupool as gp
        x = np.arange(400_000, dtype=np.float32).reshape(500, 800)
        gp.set_num_threads(2)
        want = float(gp.max_pool2d(x, 2).sum())
        def work(i):
            return float(gp.max_pool2d(x, 2).sum())
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(work, range(4)).get(60) == [want] * 4
        print("fine")
    """) == ["fine"]


@pytest.mark.parametrize(("value", "threads"), [("1", "1"), ("3", "3")])
def test_environment_variable(value, threads):
    assert python("import gpupool as gp; print(gp.get_num_threads())", GPUPOOL_NUM_THREADS=value) == [threads]


def test_a_script_with_threads_ends():
    """Worker threads do not keep the interpreter alive, nor break its shutdown."""
    assert python("""
        import numpy as np
        import gpupool as gp
        gp.set_num_threads(3)
        print(gp.max_pool2d(np.ones((1000, 1000), np.float32), 2).sum())
    """) == ["250000.0"]


def test_a_script_ends_while_a_daemon_thread_pools():
    """The interpreter ends with workers in the middle of their pieces."""
    assert python("""
        import threading, time
        import numpy as np
        import gpupool as gp
        gp.set_num_threads(3)
        x = np.ones((4000, 4000), np.float32)
        def forever():
            while True:
                gp.max_pool2d(x, 3, 1)
        threading.Thread(target=forever, daemon=True).start()
        time.sleep(1)
        print("fine")
    """) == ["fine"]
