"""Which backends a run tests, and a closing line that says so.

- `NUMBA_ENABLE_CUDASIM=1 pytest tests`: the CUDA path in Numba's simulator, and nothing of the CPU engine;
- `pytest tests`: NumPy;
- `pytest tests --gpu`: NumPy and every installed library that sees a GPU; it is an error if none does;
- `pytest tests --library torch`: that library on the GPU, and only the tests that take a backend.

A test with the argument `backend` runs once for each of them; with `backend` and `case`, for each row of cases.py.
"""

import gc
from collections import Counter

import backends
import cases
import hypothesis
import pytest

FAST = "numpy-fast"
TIERS = {
    "cpu_only": "needs the compiled CPU engine",
    "simulator_only": "needs NUMBA_ENABLE_CUDASIM=1",
    "gpu_only": "needs a GPU",
}

hypothesis.settings.register_profile(
    "ci", max_examples=64, derandomize=True, deadline=None, database=None, print_blob=True
)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("ci")


def pytest_addoption(parser):
    parser.addoption(
        "--gpu", action="store_true", help="also run every installed GPU library; fail where none sees a GPU"
    )
    parser.addoption("--library", choices=list(backends.GPU), help="only this library, on the GPU")


def pytest_configure(config):
    for marker, reason in TIERS.items():
        config.addinivalue_line("markers", f"{marker}: {reason}; deselected in other runs, and counted in the summary")
    config.addinivalue_line("markers", f"every_engine: runs for {FAST} also, not only for each array library")
    try:
        config.active_backends, config.inactive_backends = backends.active(
            config.getoption("--gpu"), config.getoption("--library")
        )
    except RuntimeError as error:
        raise pytest.UsageError(str(error)) from None
    config.left_out = Counter()
    config.ran = Counter()
    config.pluginmanager.register(Tally(config), "gpupool-tally")
    if config.getoption("--gpu") or config.getoption("--library"):
        # The libraries there are of any version, and what they deprecate among themselves is no failure of ours.
        for category in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning"):
            config.addinivalue_line("filterwarnings", f"default::{category}")
    if backends.simulated():
        # IEEE exceptions are in the cases on purpose; NumPy scalars, with which the simulator computes, warn of them.
        config.addinivalue_line("filterwarnings", r"ignore:.*encountered in.*:RuntimeWarning")


def pytest_generate_tests(metafunc):
    if "backend" not in metafunc.fixturenames:
        return
    active = metafunc.config.active_backends
    if "case" not in metafunc.fixturenames:
        if not metafunc.definition.get_closest_marker("every_engine"):
            active = [backend for backend in active if backend.name != FAST]
        metafunc.parametrize("backend", active, ids=str, scope="session")
        return
    rows = []
    for backend in active:
        able, unable = cases.rows_for(backend)
        metafunc.config.left_out[f"rows of cases.py that {backend} cannot express or is too slow for"] = unable
        rows += [pytest.param(backend, case, id=f"{backend}-{case.id}") for case in able]
    metafunc.parametrize(("backend", "case"), rows, scope="session")


@pytest.fixture(autouse=True)
def _engines_for_large_arrays(request, monkeypatch):
    """For the numpy-fast backend: no array is too small for the fast engines."""
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    if str(parameters.get("backend")) == FAST:
        from gpupool.backends import cpu, cpu_engines

        monkeypatch.setattr(cpu_engines, "SMALL_WORK", 0)
        monkeypatch.setattr(cpu, "_calls", {})


def pytest_collection_modifyitems(config, items):
    on_gpu = config.getoption("--gpu") or config.getoption("--library")
    for unwanted in ("cpu_only" if backends.simulated() else "simulator_only", *(() if on_gpu else ("gpu_only",))):
        dropped = [item for item in items if item.get_closest_marker(unwanted)]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if item not in dropped]
            config.left_out[f"tests marked {unwanted} ({TIERS[unwanted]})"] = len(dropped)
    if config.getoption("--library"):
        others = [item for item in items if "backend" not in item.fixturenames]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
        config.left_out["tests that take no backend"] = len(others)


@pytest.fixture
def engines(monkeypatch):
    """Calls a function once on the point engine and once on the fast engine that its geometry gets; both results."""
    from gpupool.backends import cpu, cpu_engines

    def both(function, *args, **kwargs):
        results = []
        for small in (10**18, 0):
            monkeypatch.setattr(cpu_engines, "SMALL_WORK", small)
            monkeypatch.setattr(cpu, "_calls", {})
            results.append(function(*args, **kwargs))
        return results

    return both


def pytest_collection_finish(session):
    """Thousands of tests and their rows live until the end: the garbage collector need not look at them again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    backend = getattr(item, "callspec", None) and item.callspec.params.get("backend")
    report.user_properties.append(("backend", str(backend) if backend else "no backend"))


class Tally:
    """Counts what ran, by backend; with pytest-xdist, what its workers report."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.config.ran[dict(report.user_properties)["backend"]] += 1

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["left_out"] = dict(session.config.left_out)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error):
        self.config.left_out.update(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter, config):
    line = terminalreporter.write_line
    terminalreporter.section("gpupool backends")
    line("run: " + (", ".join(f"{name} ({count} tests)" for name, count in sorted(config.ran.items())) or "nothing"))
    line("not run: " + "; ".join(f"{name}: {why}" for name, why in config.inactive_backends.items()))
    for what, count in config.left_out.items():
        if count:
            line(f"left out: {count} {what}")
