"""Packs what benchmarks/gpu.py needs on a machine that has torch and no network: the host, and a few pure wheels.

    python dev.py exec -- python benchmarks/gpu_pack.py            # writes .host/gpu_pack, which git ignores
    bash .host/gpu_pack/run.sh --out benchmarks/results/gpu        # there, in a copy of the repository with that folder

The other machine brings torch, torchvision, torchaudio, transformers, scipy, einops, safetensors, psutil, pyyaml,
pillow, numpy, tqdm and packaging. Tokenizers' vocabularies and compiled extensions stay behind: the measured networks
need none.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PACK = REPO / ".host" / "gpu_pack"
HOST_FOLDERS = ("comfy", "comfy_api", "comfy_api_nodes", "comfy_execution", "comfy_config", "utils", "app")
WHEELS = ("comfy_kitchen", "comfy_aimdo", "torchsde", "trampoline")  # of the host's requirements, rarely elsewhere
LARGEST = 200_000  # bytes of a file that is no program
LIMIT = 66e6  # bytes of the repository and the pack together: 64 MiB travel
RUN = """#!/bin/sh
# Measures at real size on the GPU of this machine: see benchmarks/gpu.py for the options.
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
export COMFYUI_PATH="$here/comfyui" HICACHE_REPO="$PWD" HICACHE_DEVICE="${HICACHE_DEVICE:-cuda}"
# The host before the repository: both have a module named nodes.
export PYTHONPATH="$here/comfyui:$here/wheels:$PWD/tools:$PWD"
exec "${PYTHON:-python3}" benchmarks/gpu.py "$@"
"""


def needed(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        small = file.is_file() and file.suffix in (".json", ".yaml", ".txt", ".toml") and file.stat().st_size < LARGEST
        if "__pycache__" not in file.parts and (file.suffix == ".py" or small):
            yield file


def copy_host(host: Path, target: Path) -> None:
    for file in host.glob("*.py"):
        copy(file, target / file.name)
    for folder in filter(Path.is_dir, (host / name for name in HOST_FOLDERS)):
        for file in needed(folder):
            copy(file, target / file.relative_to(host))


def copy_wheels(target: Path) -> None:
    for name in WHEELS:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(f"There is no {name} in this environment: run this with `python dev.py exec`.")
        source = Path(spec.submodule_search_locations[0])
        for file in needed(source):
            copy(file, target / name / file.relative_to(source))


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def size(files: Iterator[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    return (REPO / name for name in listed.split("\0") if name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=PACK)
    target = parser.parse_args().to
    shutil.rmtree(target, ignore_errors=True)
    copy_host(Path(os.environ["COMFYUI_PATH"]), target / "comfyui")
    copy_wheels(target / "wheels")
    (target / "run.sh").write_text(RUN, encoding="utf-8")
    pack, repository = size(target.rglob("*")), size(tracked())
    print(f"{target}: {pack / 1e6:.1f} MB, with the repository {(pack + repository) / 1e6:.1f} MB")
    if pack + repository > LIMIT:
        raise SystemExit(f"That is more than the {LIMIT / 1e6:.0f} MB that travel.")


if __name__ == "__main__":
    main()
