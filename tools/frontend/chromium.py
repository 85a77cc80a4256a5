"""Chromium: the machine's own, or Debian's."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = (
    ["apt-get", "update"],
    ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core", "fonts-noto-cjk"],
)


def find() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def find_or_install() -> str | None:
    """The path of a Chromium; installs one where that needs no question (root, and Debian's packages); else None."""
    found = find()
    if found or os.name == "nt" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    for command in INSTALL:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return find()
