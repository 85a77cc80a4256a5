"""docs/models.md is what the rows say. After a change that is meant: HICACHE_WRITE_SNAPSHOT=1 python dev.py test
tests/host/test_models_page.py, and read the difference."""

import os
from pathlib import Path

import pytest
from tiny_models.page import page

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
NEWEST, OLDEST = "0.30.0", "0.16.3"


def test_the_page_is_what_the_rows_say(host_version):
    if host_version != NEWEST:
        pytest.skip(f"the page is made with ComfyUI {NEWEST}")
    made = page(NEWEST, OLDEST, Path(os.environ["HICACHE_HOSTS"]) / OLDEST)
    if os.environ.get("HICACHE_WRITE_SNAPSHOT"):
        PAGE.write_text(made, "utf-8", newline="\n")
    assert PAGE.read_text("utf-8") == made
