"""A repository of the files that git tracks, as they are now: comfy-cli packs those and no others."""

import shutil
import subprocess
from pathlib import Path


def copy_tracked(checkout: Path, folder: Path) -> list[str]:
    """Fills ``folder``, which need not exist; the names of the files, with forward slashes."""
    names = [name for name in _git(checkout, "ls-files", "-z").split("\0") if (checkout / name).is_file()]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout / name, folder / name)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all", "--force")
    return names


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout
