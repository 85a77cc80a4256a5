"""The pack in a folder of another name, as GitHub's zip files have it."""

import os
from pathlib import Path

import pytest
from comfy_client import running_server
from frontend import one_picture, opened
from frontend.timeline import wait_for

pytestmark = pytest.mark.browser

REPO = Path(__file__).parents[2]
NAME = "ComfyUI-HiCache-main"


def under_another_name(base):
    one_picture.add_dataset(base)
    (base / "custom_nodes" / NAME).symlink_to(REPO, target_is_directory=True)


def test_it_works_under_another_name(chromium):
    host = Path(os.environ["COMFYUI_PATH"])
    with (
        running_server(host, with_pack=False, prepare=under_another_name) as server,
        opened(server.url, chromium, vue=False) as tab,
    ):
        assert sorted(file.name for file in (server.base / "custom_nodes").iterdir()) == [NAME]
        tab.open_anew(one_picture.example())
        wait_for(tab, "20 of 50 steps computed")
        tab.queue()
        tab.wait_until_idle()
        wait_for(tab, "20 of 50 computed")
        assert [text for text in tab.problems if "hicache" in text.lower()] == []
