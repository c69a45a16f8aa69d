"""The documentation is run: README blocks, tables and commands, docstring examples, documented signatures, links."""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest
from PIL import Image

import gpupool as gp
from gpupool import cli, device, images
from gpupool.operators import OPERATORS

pytestmark = pytest.mark.cpu_only  # the simulator's example starts a process of its own

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"(?:<!-- (?P<mark>\w+) -->\n)?```(?P<language>\w+)\n(?P<body>.*?)```\n", re.S)


class Block(NamedTuple):
    """A fenced block, and the ```text block that follows a Python block: what it prints."""

    line: int
    language: str
    mark: str | None
    body: str
    output: str | None

    def __str__(self):
        return f"README.md:{self.line}"


def blocks():
    """Every fenced block of the README that is not another one's output."""
    found = list(FENCE.finditer(README))
    for match, following in zip(found, [*found[1:], None], strict=True):
        if match["language"] == "text":
            continue
        output = following["body"] if following is not None and following["language"] == "text" else None
        yield Block(README.count("\n", 0, match.start()) + 1, match["language"], match["mark"], match["body"], output)


def python_blocks(mark):
    return [block for block in blocks() if block.language == "python" and block.mark == mark]


def table(mark):
    """The rows of the table behind a mark, as lists of cells."""
    lines = README.split(f"<!-- {mark} -->\n")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_block_is_tested():
    assert all(README.count(f"```{language}") for language in ("python", "text", "sh"))
    assert README.count("```") == 2 * len(FENCE.findall(README))
    assert {block.mark for block in blocks()} == {None, "signatures", "gpu", "simulator"}
    assert {block.language for block in blocks()} == {"python", "sh"}


# -- README: Python ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", python_blocks(None), ids=str)
def test_readme_python(block):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.body, str(block), "exec"), {"__name__": "__main__"})
    assert printed.getvalue() == (block.output or "")


@pytest.mark.parametrize("block", python_blocks("simulator"), ids=str)
def test_readme_simulator(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block.body], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (block.output, 0), done.stderr


@pytest.mark.parametrize("block", python_blocks("gpu"), ids=str)
def test_readme_gpu_names(block):
    """It parses and uses only names that exist; tests/test_gpu.py runs it."""
    names = {node.attr for node in ast.walk(ast.parse(block.body)) if isinstance(node, ast.Attribute)
             and isinstance(node.value, ast.Name) and node.value.id == "gp"}  # fmt: skip
    assert names
    assert names <= set(dir(gp))


# -- README: tables ----------------------------------------------------------------------------------------------------


def test_dtype_table():
    """Empty arrays have the result's dtype, and need no kernel: all the dtypes would take minutes to compile."""
    seen = []
    for names, kept, mean, total, *chosen in table("dtypes"):
        for dtype in re.findall(r"\b(?:bool|u?int\d+|b?float\d+)\b", names.split("(")[0]):
            x = np.empty((0, 3), ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
            for op, expected in (("max", kept), ("min", kept), ("avg", mean), ("lp", mean), ("sum", total)):
                wanted = dtype if expected == "as the input" else expected
                assert gp.pool(x, op, 3, axes=1).dtype.name == wanted, op
            for op, wanted in product((row.name for row in OPERATORS.values() if row.dtype), chosen):
                assert gp.pool(x, op, 3, axes=1, dtype=wanted).dtype.name == wanted
            seen.append(dtype)
    assert len(seen) == len(set(seen)) == 13


def test_dtypes_that_are_refused():
    for bad in (np.ones(4, complex), np.ones(4, object), np.array(["a", "b"])):
        with pytest.raises(TypeError):
            gp.max_pool1d(bad, 2)
    with pytest.raises(TypeError):
        gp.avg_pool1d(np.ones(4), 2, dtype=bool)
    np.testing.assert_array_equal(gp.avg_pool1d([0.5, 1.5, np.nan, 300], 1, dtype="uint8"), [0, 2, 0, 255])


def test_operator_table():
    """The README says of each operator what the table of operators says."""
    expected = [
        [
            f'`"{row.name}"`',
            row.summary,
            ", ".join(f"`{family}2d`" for family in row.families) or "`pool` only",
            row.result.words,
            ", ".join(f"`{word}`" for word in row.takes),
        ]
        for row in OPERATORS.values()
    ]
    assert [[cell.strip() for cell in row] for row in table("operators")] == expected


@pytest.mark.parametrize("op", OPERATORS)
def test_functions_take_what_the_table_says(op):
    """Exactly the operators that take an argument have it in their functions."""
    row = OPERATORS[op]
    special = {word for other in OPERATORS.values() for word in other.takes}
    for family in row.families:
        taken = special & set(inspect.signature(getattr(gp, f"{family}2d")).parameters)
        lacking = {"count_include_pad", "divisor_override"} if family.startswith(("global", "adaptive")) else set()
        lacking |= {"return_indices"} if family.startswith("global") else set()
        assert taken == set(row.takes) - lacking, family


@pytest.mark.parametrize("row", table("rules"), ids=lambda row: "-".join(row[:5]))
def test_rule_table(row):
    k, s, padding, d, ceil, highest, mean, without = (ast.literal_eval(cell) for cell in row)
    x = np.arange(1.0, 6.0)
    np.testing.assert_array_equal(gp.max_pool1d(x, k, s, padding, d, ceil), highest)
    np.testing.assert_array_equal(gp.avg_pool1d(x, k, s, padding, ceil, dilation=d), mean)
    np.testing.assert_array_equal(gp.avg_pool1d(x, k, s, padding, ceil, False, dilation=d), without)
    assert gp.output_shape((5,), (k,), stride=s, padding=padding, dilation=d, ceil_mode=ceil) == (len(highest),)


@pytest.mark.parametrize("row", table("pytorch"), ids=lambda row: row[0])
def test_what_is_accepted_beyond_pytorch(row):
    """Each example runs."""
    got = eval(row[1].strip("`"), {"gp": gp, "np": np, "x": np.arange(6.0)})
    assert isinstance(got, np.ndarray)


# -- README: signatures, commands, links -------------------------------------------------------------------------------


def signature(function):
    """`(x, *, out=None)`: names, kinds and defaults, without annotations."""
    plain = inspect.signature(function)
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in plain.parameters.values()]
    return str(plain.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def test_signatures():
    (block,) = python_blocks("signatures")
    documented = dict(re.fullmatch(r"gp\.(\w+)(\(.*\))", line).groups() for line in block.body.splitlines())
    for name, text in documented.items():
        others = {name, name.replace("2d", "1d"), name.replace("2d", "3d")} & set(gp.__all__)
        assert len(others) >= (2 if "2d" in name else 1), name
        for other in others:
            assert text == signature(getattr(gp, other)), other
    # A gradient's signature is its operator's (tests/test_gradients.py holds that), so the block leaves them out.
    public = {re.sub(r"[13]d$", "2d", name) for name in gp.__all__ if not name.endswith("_backward")}
    assert set(documented) == public


@pytest.mark.parametrize("block", [b for b in blocks() if "gpupool pool" in b.body], ids=str)
def test_readme_commands(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "gpu_problem", lambda driver: "a test")  # noqa: ARG005
    Image.new("RGB", (9, 8)).save("photo.png")
    images.write(Path("scan.tif"), images.Raster(np.zeros((7, 9), np.uint16)))
    np.save("features.npy", np.zeros((4, 6, 8), np.float32))
    for line in block.body.splitlines():
        program, *argv = shlex.split(line)
        assert program == "gpupool"
        assert cli.main(argv) == 0, capsys.readouterr().err
    with Image.open("small.png") as small:
        assert small.size == (4, 4)
    assert images.read(Path("peaks.tif")).array.shape == (4, 5)
    assert np.load("pooled.npy").shape == (4, 3, 4)


def test_set_up_commands_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    extras = set(re.findall(r'pip install (?:-e )?"\.\[(\w+)\]"', text))
    assert {"image", "test", "cuda12", "cuda13"} <= extras <= set(project["optional-dependencies"])
    scripts = set(re.findall(r"bash (ci/\w+\.sh)", text))
    assert "ci/test.sh" in scripts
    assert all((ROOT / script).is_file() for script in scripts)
    assert project["scripts"]["gpupool"] == "gpupool.cli:main"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    for path in re.findall(r"`((?:gpupool|kernels|tests|benchmarks|ci)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path


def test_the_picture_is_small():
    assert (ROOT / "benchmarks/results/demo.png").stat().st_size < 300_000


def test_changelog_has_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(project['version'])}\]?", changelog, re.M)
    assert gp.__version__ == project["version"]


# -- docstrings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", gp.__all__)
def test_docstring(name):
    function = getattr(gp, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert found.examples or name.endswith("num_threads"), f"{name} has no example"
    report = io.StringIO()
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=report.write)
    assert result.failed == 0, report.getvalue()


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "global_avg_pool2d", "pool", "output_shape"])
def test_docstring_names_every_parameter(name):
    function = getattr(gp, name)
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"^    ([\w, ]+?)(?: :.*)?$", function.__doc__, re.M))))
    assert set(inspect.signature(function).parameters) <= documented


def test_no_paths_of_a_machine():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"):
        assert not re.search(r"(?<![\w.])/(?:home|work|root|Users|tmp)/", path.read_text(encoding="utf-8")), path
