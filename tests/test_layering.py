"""Imports point one way: core -> torch; hicache_comfy -> core and the host; nodes -> both and comfy_api."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STANDARD = set(sys.stdlib_module_names)
ALLOWED = {
    "hicache_core": {"torch"},
    "hicache_comfy": {"torch", "numpy", "comfy", "comfy_execution", "hicache_core"},
    "nodes": {"comfy_api", "server", "aiohttp", "PIL", "torch"},
    "hicache_batch": {"aiohttp", "tqdm", "ray"},
}
SIBLINGS = {
    "hicache_core": set(),
    "hicache_comfy": {"hicache_core"},
    "nodes": {"hicache_core", "hicache_comfy"},
    "hicache_batch": set(),
}


def imports(source):
    """(level, dotted module) of every import statement."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def violations(package, source, depth=0):
    """depth: folders between the package and the source's own."""
    for level, module in imports(source):
        top = module.split(".")[0]
        if level == 0 and top not in STANDARD | ALLOWED[package]:
            yield f"{package} imports {module}"
        if level == 2 + depth and top not in SIBLINGS[package]:
            yield f"{package} reaches ..{module}"
        if level > 2 + depth:
            yield f"{package} reaches above the pack"


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    depths = {file: len(file.relative_to(ROOT / package).parents) - 1 for file in files}
    assert [v for f, depth in depths.items() for v in violations(package, f.read_text("utf-8"), depth)] == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("hicache_core", "import comfy.samplers"),
        ("hicache_core", "from ..hicache_comfy import attach"),
        ("hicache_comfy", "from ..nodes import x"),
        ("nodes", "import hicache_core"),
        ("nodes", "from ...other import x"),
    ],
)
def test_the_check_fires(package, source):
    assert list(violations(package, source))


def test_only_one_file_of_hicache_comfy_names_the_core():
    files = (ROOT / "hicache_comfy").rglob("*.py")
    named = [f.name for f in files if any("hicache_core" in module for _, module in imports(f.read_text("utf-8")))]
    assert named == ["_core.py"]


def lengths(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node, clean=False)
            yield node.name, node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)


@pytest.mark.parametrize("package", [*ALLOWED, "tools"])
def test_functions_and_files_are_short(package):
    for file in (ROOT / package).rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        assert source.count("\n") <= 300, file
        long = [name for name, lines in lengths(source) if lines > 60 or (lines > 50 and name != "define_schema")]
        assert long == [], file
