"""The shape of the code: who imports whom, what importing loads, and how long things are."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gpupool
import gpupool.backends
import gpupool.kernels
from gpupool.operators import public_names

PACKAGE = Path(gpupool.__file__).parent
KERNELS = Path(gpupool.kernels.__file__).parent

# From the top of the stack to its bottom: a module imports from its own row or from rows below it.
LAYERS = [
    {"gpupool.__main__"},
    {
        "gpupool.cli",
        "gpupool.demo",
        "gpupool.info",
        "gpupool.picture",
        "gpupool.images",
        "gpupool.device",
        "gpupool.failure",
    },
    {"gpupool"},
    {"gpupool.onnx", "gpupool._checkout"},
    {"gpupool.functional"},
    {"gpupool.dispatch"},
    {"gpupool.backends"},
    {"gpupool.geometry", "gpupool.threads"},
    {"gpupool.gradients", "gpupool.unpooling", "gpupool.fractional"},
    {"gpupool.jobs"},
    {"gpupool.plan", "gpupool.reducer"},
    {"gpupool.operators"},
    {"gpupool.axes", "gpupool.dtypes"},
    {"gpupool.attributes"},
    {"gpupool.request"},
    {"gpupool.kernels.cpu", "gpupool.kernels.cuda"},
    {"gpupool.kernels.user"},
    {"gpupool.kernels.cache"},
    {"gpupool.kernels.gradient"},
    {
        "gpupool.kernels.window",
        "gpupool.kernels.reducers",
        "gpupool.kernels.extremes",
        "gpupool.kernels.means",
        "gpupool.kernels.adding",
        "gpupool.kernels.integer_means",
        "gpupool.kernels.exact",
        "gpupool.kernels.norms",
        "gpupool.kernels.any_norm",
        "gpupool.kernels.ranks",
        "gpupool.kernels.sums",
        "gpupool.kernels.truths",
        "gpupool.kernels.codecs",
        "gpupool.kernels.point",
    },
    {"gpupool.kernels"},
]
ARRAY_LIBRARIES = {"cupy", "torch", "jax", "tensorflow", "dask", "dlpack"}


def sources():
    """{module name: path} of everything that is shipped."""
    found = {}
    for root, prefix in ((PACKAGE, "gpupool"), (KERNELS, "gpupool.kernels")):
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join((prefix, *parts)).removesuffix(".__init__")
            if not (prefix == "gpupool" and parts[0] == "kernels"):
                found[name] = path
    return found


SOURCES = sources()
EACH = pytest.mark.parametrize("module", SOURCES)


def imports(module):
    """Absolute names of the modules that a module imports, anywhere in it."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(SOURCES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{a.name}" if f"{source}.{a.name}" in SOURCES else source for a in node.names)


def layer(module):
    """(row, entry) of a module: its own entry, or its package's."""
    for row, names in enumerate(LAYERS):
        for name in names:
            if module == name or (module.startswith(name + ".") and name not in ("gpupool", "gpupool.kernels")):
                return row, name
    raise AssertionError(f"{module} has no place in the layers of this test: give it one")


@EACH
def test_imports_point_downwards(module):
    """functional -> plan, dispatch -> backends -> kernels.{cpu,cuda} -> {window, reducers}."""
    row, name = layer(module)
    for imported in imports(module):
        if imported.split(".")[0] != "gpupool":
            continue
        other_row, other = layer(imported)
        if row == other_row and module.startswith("gpupool.kernels"):
            assert other == name or not name.endswith((".cpu", ".cuda")), f"{module} imports {imported}"
        if not (module.endswith("__main__") or row == 1):
            assert imported != "gpupool", f"{module} imports the package's front door"
        assert other_row >= row, f"{module} imports {imported}, which is above it"


@EACH
def test_kernels_know_no_array_library(module):
    """kernels/ imports nothing of gpupool above it, and no array library; nobody imports one at the top of a file."""
    for imported in imports(module):
        root = imported.split(".")[0]
        if module.startswith("gpupool.kernels"):
            assert root not in ARRAY_LIBRARIES, f"{module} imports {imported}"
            assert root != "gpupool" or imported.startswith("gpupool.kernels"), f"{module} imports {imported}"
    top = [n for n in ast.parse(SOURCES[module].read_text()).body if isinstance(n, (ast.Import, ast.ImportFrom))]
    names = {a.name.split(".")[0] for n in top if isinstance(n, ast.Import) for a in n.names}
    names |= {(n.module or "").split(".")[0] for n in top if isinstance(n, ast.ImportFrom) and not n.level}
    assert not names & ARRAY_LIBRARIES


@pytest.mark.parametrize(
    "module", [m for m in SOURCES if m.startswith("gpupool.kernels.cpu") or (m.count(".") == 2 and "kernels" in m)]
)
def test_the_cpu_side_never_loads_cuda(module):
    """Nothing that the CPU engine is made of imports numba.cuda or cuda.core."""
    if module != "gpupool.kernels.cuda":
        assert not [name for name in imports(module) if name.startswith(("numba.cuda", "cuda", "gpupool.kernels.cuda"))]


def loaded_by(script):
    """The modules that a script leaves loaded, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script + "\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_loads_no_array_library():
    loaded = loaded_by("import gpupool")
    assert "gpupool.functional" in loaded
    assert not loaded & {
        "cupy",
        "torch",
        "jax",
        "numba.cuda",
        "numba_cuda",
        "cuda",
        "cuda.core",
        "gpupool.backends.cuda",
        "PIL",
    }


def test_importing_does_no_work():
    """Neither Numba nor a backend is loaded before the first call."""
    loaded = loaded_by("import gpupool")
    assert not loaded & {"gpupool.backends.cpu", "llvmlite", "gpupool.kernels.cpu.point"}


def test_pooling_numpy_arrays_loads_no_gpu_library():
    loaded = loaded_by("import gpupool, numpy\ngpupool.max_pool1d(numpy.ones(4), 2)")
    assert "gpupool.backends.cpu" in loaded
    assert not loaded & {"cupy", "torch", "jax", "cuda", "cuda.core", "gpupool.backends.cuda"}


@EACH
def test_files_are_short(module):
    assert len(SOURCES[module].read_text().splitlines()) <= 400


def functions(module):
    for node in ast.walk(ast.parse(SOURCES[module].read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def length(function):
    """Lines of a function without its docstring, decorators and signature."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@EACH
def test_functions_are_short(module):
    assert [(f.name, length(f)) for f in functions(module) if length(f) > 45] == []


@EACH
def test_functions_take_few_arguments(module):
    """At most 12, the public functions' own signatures aside."""
    many = {f.name: len(f.args.args) + len(f.args.kwonlyargs) + len(f.args.posonlyargs) for f in functions(module)}
    public = set(gpupool.__all__) if module.startswith("gpupool.functional") else set()
    assert {name: count for name, count in many.items() if count > 12 and name not in public} == {}


@EACH
def test_functions_are_documented(module):
    assert ast.get_docstring(ast.parse(SOURCES[module].read_text())) is not None
    undocumented = [
        f.name
        for f in functions(module)
        if not f.name.startswith("_") and f.col_offset == 0 and not ast.get_docstring(f)
    ]
    assert undocumented == []


def test_the_map_of_backends_is_complete():
    """It names each module, and nothing else."""
    named = set(re.findall(r"`(\w+)`", gpupool.backends.__doc__))
    assert named == {path.stem for path in Path(gpupool.backends.__file__).parent.glob("*.py")} - {"__init__"}


def test_the_public_names():
    assert set(gpupool.__all__) >= set(public_names()) | {"pool", "output_shape", "set_num_threads", "get_num_threads"}
    assert all(callable(getattr(gpupool, name)) and getattr(gpupool, name).__doc__ for name in gpupool.__all__)


def test_the_test_for_layers_can_fail():
    assert layer("gpupool.backends.cpu")[0] < layer("gpupool.kernels.cpu.point")[0] < layer("gpupool.kernels.window")[0]
    with pytest.raises(AssertionError):
        layer("gpupool.nowhere")
