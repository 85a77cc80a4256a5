"""What docs/security.md says that the pack never does, read from its source; and that every check it names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACK = [
    ROOT / "__init__.py",
    *(f for p in ("hicache_core", "hicache_comfy", "nodes") for f in (ROOT / p).rglob("*.py")),
]
WEB = [file for file in (ROOT / "web").rglob("*") if file.suffix in (".js", ".mjs")]

CALLS = {  # by name, wherever they come from
    *("eval", "exec", "compile", "__import__", "breakpoint", "input", "globals", "setattr", "delattr", "vars"),
    *("open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "rename"),
    *("create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "subprocess_shell"),
    *("open_connection", "open_unix_connection", "create_unix_connection", "start_server", "start_unix_server"),
    *("create_server", "create_unix_server", "create_datagram_endpoint", "sock_connect"),
    *("system", "popen", "spawn", "fork", "kill", "remove", "rmtree", "copyfile", "makedirs", "symlink_to", "chmod"),
    *("torch_load", "load_torch_file", "from_file", "fromfile", "tofile", "save", "memmap"),
    *("_create_jit_fn", "_create_multi_output_jit_fn", "_compile_kernel", "compile_kernel"),
    *("urlopen", "urlretrieve", "create_connection", "getaddrinfo", "connect", "ClientSession"),
}
MODULES = {
    *("pickle", "marshal", "shelve", "dill", "ctypes", "cffi", "code", "codeop", "runpy", "imp", "importlib"),
    *("subprocess", "multiprocessing", "pty", "signal", "os", "shutil", "tempfile", "glob", "io", "mmap"),
    *("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "xmlrpc", "socketserver", "webbrowser"),
    *("sqlite3", "zipfile", "tarfile", "configparser"),
}
ATTRIBUTES = {
    ("torch", "load"),
    ("torch", "save"),
    ("torch", "hub"),
    ("aiohttp", "ClientSession"),
    ("aiohttp", "request"),
}
# (file, what): the whole list of exceptions.
ALLOWED = {
    ("hicache_comfy/patch.py", "pathlib"),  # the name of the pack's own folder, for a message
    ("hicache_comfy/block_patches.py", "remove"),  # a hook
    ("hicache_core/kernel.py", "_create_jit_fn"),  # of a text that is made from a number
}


def findings(source):
    """What stands in the source that the pack must not do."""
    nodes = list(ast.walk(ast.parse(source)))
    renamed = {a.asname: a.name for node in nodes if isinstance(node, ast.Import) for a in node.names if a.asname}
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in {*MODULES, "pathlib"})
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module, *_ = (node.module or "").split(".")
            if module in {*MODULES, "pathlib"}:
                yield module
            names = {alias.name for alias in node.names}  # whatever they are called from here on
            yield from (f"{module}.{name}" for name in names if name in CALLS or (module, name) in ATTRIBUTES)
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in CALLS:
                yield name
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = renamed.get(node.value.id, node.value.id)
            if (module, node.attr) in ATTRIBUTES:
                yield f"{module}.{node.attr}"


def test_the_pack_runs_no_code_starts_no_process_opens_no_file_and_no_connection():
    found = {(file.relative_to(ROOT).as_posix(), what) for file in PACK for what in findings(file.read_text("utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "import pickle",
        "from urllib.request import urlopen",
        "import os.path",
        "torch.load(f)",
        "Path('x').write_text('')",
        "open('x')",
        "__import__('os')",
        "import subprocess as s",
        "aiohttp.ClientSession()",
        "def f():\n    from socket import socket",
        "await asyncio.create_subprocess_shell(s)",
        "await asyncio.create_subprocess_exec(s)",
        "await asyncio.open_connection(h, p)",
        "from asyncio import open_connection as o",
        "from asyncio.subprocess import create_subprocess_exec as run",
        "from torch import load as l\nl(f)",
        "import torch as t\nt.load(f)",
        "from torch import hub",
        "from torch.hub import load",
        "from aiohttp import request",
        "from builtins import eval as e",
    ],
)
def test_the_check_fires(source):
    assert list(findings(source))


def test_the_only_folder_of_the_host_that_is_written_to_is_where_the_hosts_own_previews_go():
    """ui.PreviewImage of the host writes them, and nothing of the pack names a folder."""
    for file in PACK:
        text = file.read_text("utf-8")
        assert "folder_paths" not in text
        assert "get_save_image_path" not in text
    users = {file.name for file in PACK if "ui.PreviewImage(" in file.read_text("utf-8")}
    assert users == {"report.py", "compare.py"}


def test_ruffs_rules_about_security_are_on_for_the_pack():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.search(r'^  "S", # security', text, re.MULTILINE)
    ignored = re.findall(r'^"(.+)" = \[(.*"S\d+.*)\]', text, re.MULTILINE)
    assert ignored
    for pattern, _ in ignored:
        assert re.match(r"tests/|\{?dev\.py|tools/", pattern), pattern
    assert "noqa: S" not in "".join(file.read_text("utf-8") for file in PACK)


# --- the browser's half ---

AS_MARKUP = re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|srcdoc|document\.write(?:ln)?)\b(?!:)")
AS_CODE = re.compile(
    r"\beval\(|\bnew Function\b|\bFunction\(|javascript:|\bimport\(|set(?:Timeout|Interval)\(\s*[\"'`]"
)


def markup(text):
    """Every line that makes markup of something."""
    return [line.strip() for line in text.splitlines() if AS_MARKUP.search(line)]


def test_only_one_constant_becomes_markup():
    """A message such as <img src=x onerror=...> therefore stays text: all others are set as text, or drawn."""
    lines = {file.name: markup(file.read_text("utf-8")) for file in WEB}
    assert {name: found for name, found in lines.items() if found} == {
        "widget.mjs": ["this.inside.innerHTML = INSIDE;"]
    }
    widget = (ROOT / "web" / "timeline" / "widget.mjs").read_text("utf-8")
    (template,) = re.findall(r"^const INSIDE = `(.*?)`;", widget, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\$\{(.*?)\}", template)) <= {"HEIGHT", "REST", "STRIP"}
    for name, value in re.findall(r"\bconst (HEIGHT|REST|STRIP) = (.*?);", widget):
        assert re.match(r"\d+$", value), name


def test_no_text_becomes_code():
    for file in WEB:
        assert AS_CODE.search(file.read_text("utf-8")) is None, file


def test_the_browser_talks_to_its_own_server_alone():
    for file in WEB:
        text = file.read_text("utf-8")
        assert re.findall(r"https?://|wss?://|\bfetch\(|XMLHttpRequest|sendBeacon|WebSocket", text) == [], file
    asked = {path for file in WEB for path in re.findall(r'fetchApi\(\s*[`"](/[a-z/]+)', file.read_text("utf-8"))}
    assert asked == {"/hicache/plan", "/hicache/runs"}


@pytest.mark.parametrize(
    "line", ["x.innerHTML = message;", "x.insertAdjacentHTML('beforeend', t)", "document.write(t)", "a.outerHTML = t"]
)
def test_markup_is_found(line):
    assert markup(line) == [line]


@pytest.mark.parametrize("line", ["eval(t)", "new Function(t)", 'setTimeout("f()", 1)', "import(address)"])
def test_code_is_found(line):
    assert AS_CODE.search(line)


# --- the page ---


@pytest.mark.parametrize(("page", "count"), [("security.md", 16), ("faults.md", 14)])
def test_every_sentence_of_the_page_names_a_check_that_exists(page, count):
    """Of its last table."""
    _, _, table = (ROOT / "docs" / page).read_text("utf-8").rpartition("checked by |\n")
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == count
    for row in rows:
        checks = re.findall(r"`((?:tests/|pyproject)[\w/.]+)(?:::(\w+))?`", row)
        assert checks, row
        for file, name in checks:
            text = (ROOT / file).read_text("utf-8")
            assert not name or f"def {name}(" in text, row
