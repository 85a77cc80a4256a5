"""Batches over servers that run already: what arrives, and what happens when something goes wrong."""

import asyncio
import json
import re
import signal
import sys
import time
from contextlib import suppress

import pytest
from batch_example import prepare
from comfy_client import ComfyClient, running_server
from PIL import Image

from .conftest import PATIENCE, TEXTS, stop
from .processes import wait_until

pytestmark = pytest.mark.server

WRONG = "hexagon blue red flat"  # words of both splits


@pytest.fixture
def urls(server, second_server):
    return ["--server", server.url, "--server", second_server.url]


def queue_of(server):
    async def read():
        async with ComfyClient(server.url) as client:
            return await client.get("/queue")

    return asyncio.run(read())


def pixels(one):
    pictures = []
    for name in sorted(one.digests):
        with Image.open(one.out / name) as picture:
            pictures.append(picture.tobytes())
    return pictures


def test_one_and_two_servers_give_the_same_bytes(batch, server, urls, tmp_path):
    alone = batch("--server", server.url, prompts=TEXTS[:8], out=tmp_path / "alone")
    both = batch(*urls, prompts=TEXTS[:8], out=tmp_path / "both")
    for one in (alone, both):
        result = one.run()
        assert result.returncode == 0, result.stderr
        assert result.stdout == ""
    assert sorted(alone.digests) == [f"{row:06d}_00.png" for row in range(8)]
    assert len(set(alone.digests.values())) == 8
    assert alone.digests == both.digests
    assert {record["worker"] for record in both.records} == set(urls[1::2])


def test_the_manifest_says_what_became_of_every_row(batch, server):
    one = batch("--server", server.url, "--seed", 40, prompts=TEXTS[:3])
    result = one.run()
    assert result.returncode == 0, result.stderr
    assert [record["row"] for record in one.records] == [0, 1, 2]
    for record in one.records:
        assert record["seed"] == 40 + record["row"]
        assert record["worker"] == server.url
        assert record["files"] == [
            {"file": f"{record['row']:06d}_00.png", "sha256": one.digests[f"{record['row']:06d}_00.png"]}
        ]
        assert (record["calls"], record["forecasts"]) == (8, 12)
        assert record["seconds"] > 0
        assert (record["tries"], record["error"]) == (1, None)
    assert "HiCache computed 24 of 60 steps (2.50x fewer calls)" in result.stderr
    assert "3 rows in" in result.stderr


def test_a_picture_is_that_of_its_row(batch, server):
    one = batch(
        "--server", server.url, "--set", "8.filename_prefix=x/{row}", "--set", "Size.width=64", prompts=TEXTS[:2]
    )
    result = one.run()
    assert result.returncode == 0, result.stderr
    for row, text in enumerate(TEXTS[:2]):
        with Image.open(one.out / f"{row:06d}_00.png") as picture:
            made = json.loads(picture.info["prompt"])
            assert picture.size == (64, 128)
        assert (made["3"]["inputs"]["text"], made["6"]["inputs"]["seed"]) == (text, row)


def test_resume_makes_what_is_missing_or_corrupt_and_nothing_else(batch, server):
    one = batch("--server", server.url, prompts=TEXTS[:4])
    assert one.run().returncode == 0
    before, times = one.digests, {file.name: file.stat().st_mtime_ns for file in one.out.glob("*.png")}
    (one.out / "000001_00.png").write_bytes(b"corrupt")
    (one.out / "000003_00.png").unlink()
    result = one.resume()
    assert result.returncode == 0, result.stderr
    assert "2 of 4 rows are there already." in result.stderr
    assert one.digests == before
    changed = {file.name for file in one.out.glob("*.png") if file.stat().st_mtime_ns != times[file.name]}
    assert changed == {"000001_00.png", "000003_00.png"}
    assert len(one.records) == 4


def test_resume_makes_rows_anew_whose_prompt_has_changed(batch, server):
    one = batch("--server", server.url, prompts=TEXTS[:3])
    assert one.run().returncode == 0
    before = one.digests
    result = batch("--server", server.url, "--resume", prompts=[TEXTS[0], TEXTS[5], TEXTS[2]]).run()
    assert "2 of 3 rows are there already." in result.stderr
    assert {name for name, digest in one.digests.items() if before[name] != digest} == {"000001_00.png"}


def test_without_resume_a_batch_is_not_touched(batch, server):
    one = batch("--server", server.url, prompts=TEXTS[:1])
    assert one.run().returncode == 0
    before, result = one.digests, one.run()
    assert result.returncode == 2
    assert "already holds a batch: add --resume" in result.stderr
    assert one.digests == before


def test_a_prompt_that_always_fails_is_reported_and_stops_nothing(batch, urls):
    one = batch(*urls, "--tries", 2, prompts=[TEXTS[0], WRONG, TEXTS[1], TEXTS[2]])
    result = one.run()
    assert result.returncode == 1, result.stderr
    assert sorted(one.digests) == ["000000_00.png", "000002_00.png", "000003_00.png"]
    (failed,) = [record for record in one.records if record["error"]]
    assert (failed["row"], failed["tries"], failed["files"]) == (1, 2, [])
    assert f"The small Flux does not know '{WRONG}'" in failed["error"]
    assert "Row 1 failed on" in result.stderr
    assert "1 rows failed (1): the manifest says why" in result.stderr
    tried_on = re.search(r"Row 1 failed on (\S+) and is tried again", result.stderr).group(1)
    assert failed["worker"] != tried_on


def test_a_prompt_that_the_server_refuses_is_reported(batch, server):
    one = batch("--server", server.url, "--tries", 1, "--set", "6.latent_image={row}", prompts=TEXTS[:1])
    assert "takes a LATENT" in one.run().stderr
    refused = batch("--server", server.url, "--tries", 1, "--set", "1.unet_name={prompt}", prompts=["none.safetensors"])
    assert "choose one of" in refused.run().stderr


def test_a_killed_driver_loses_no_finished_row(batch, server):
    one = batch("--server", server.url, prompts=TEXTS)
    process = one.start()
    one.wait_for_rows(2, process)
    stop(process, signal.SIGKILL)
    kept = {record["row"]: record["files"] for record in one.records}
    assert 2 <= len(kept) < len(TEXTS)
    result = one.resume()
    assert result.returncode == 0, result.stderr
    assert f"{len(kept)} of {len(TEXTS)} rows are there already." in result.stderr
    assert sorted(one.digests) == [f"{row:06d}_00.png" for row in range(len(TEXTS))]
    assert {record["row"]: record["files"] for record in one.records if record["row"] in kept} == kept


@pytest.mark.skipif(sys.platform != "linux", reason="limits the files of another process")
def test_a_full_disk_ends_a_batch_that_then_goes_on(batch, server):
    import resource

    one = batch("--server", server.url, prompts=TEXTS)
    process = one.start()
    one.wait_for_rows(2, process)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100, 100))  # bytes: no file gets more, as without room
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert "make room, then --resume." in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not list(one.out.glob("*.part"))
    result = one.resume()
    assert result.returncode == 0, result.stderr
    assert [record["row"] for record in one.records] == list(range(len(TEXTS)))
    assert len(one.digests) == len(TEXTS)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_batch_takes_its_rows_back(batch, server, long_rows, how, code):
    one = batch("--server", server.url, prompts=long_rows)
    process = one.start()
    one.wait_for_rows(1, process)
    wait_until(lambda: queue_of(server)["queue_running"] or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    ended, out, err = stop(process, how)
    assert (ended, out) == (code, "")
    assert "Stopped. Finished rows are kept: the same command with --resume goes on." in err
    assert "Traceback" not in err
    wait_until(lambda: not queue_of(server)["queue_running"])  # it is interrupted at its next step
    assert queue_of(server)["queue_pending"] == []
    assert sorted(one.digests) == ["000000_00.png"]
    assert not list(one.out.glob("*.part"))


def test_what_a_lost_server_had_is_made_by_another(batch, server, checkout):
    with suppress(ProcessLookupError), running_server(checkout, prepare=prepare) as lost:
        one = batch("--server", server.url, "--server", lost.url, prompts=TEXTS[:8])
        process = one.start()
        one.wait_for_rows(1, process)
        lost.process.kill()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert sorted(one.digests) == [f"{row:06d}_00.png" for row in range(8)]
    assert [record["row"] for record in one.records] == list(range(8))


def test_a_saved_workflow_makes_the_same_pictures_as_its_api_format(batch, server, tmp_path, saved_workflow):
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(saved_workflow), "utf-8")
    first = batch("--server", server.url, prompts=TEXTS[:2], out=tmp_path / "api")
    second = batch("--server", server.url, prompts=TEXTS[:2], workflow=saved, out=tmp_path / "saved")
    for one in (first, second):
        result = one.run()
        assert result.returncode == 0, result.stderr
    assert pixels(first) == pixels(second)


def test_files_are_numbered_as_their_nodes_stand_in_the_prompt(batch, server, tmp_path):
    """Not as they ran: ComfyUI takes them out of a set."""
    colours = range(8)
    workflow, size = {}, {"width": 8, "height": 8, "batch_size": 1}
    for c in colours:
        workflow[f"c{c}"] = {"class_type": "EmptyImage", "inputs": {**size, "color": c}}
        workflow[f"s{c}"] = {"class_type": "SaveImage", "inputs": {"images": [f"c{c}", 0], "filename_prefix": "a"}}
    file, prompts = tmp_path / "savers.json", tmp_path / "prompts.csv"
    file.write_text(json.dumps(workflow), "utf-8")
    prompts.write_text("c0.width\n8\n", "utf-8")
    one = batch("--server", server.url, prompts=prompts, workflow=file)
    result = one.run()
    assert result.returncode == 0, result.stderr
    found = []
    for name in sorted(one.digests):
        with Image.open(one.out / name) as picture:
            found.append(picture.getpixel((0, 0))[2])
    assert found == [*colours]


def test_a_date_in_a_name_changes_no_prompt(batch, server, tmp_path, saved_workflow):
    (saver,) = [node for node in saved_workflow["nodes"] if node["type"] == "SaveImage"]
    saver["widgets_values"] = ["%date:hhmmss%"]
    file = tmp_path / "dated.json"
    file.write_text(json.dumps(saved_workflow), "utf-8")
    one = batch("--server", server.url, prompts=TEXTS[:1], workflow=file)
    assert one.run().returncode == 0
    time.sleep(1)
    assert "1 of 1 rows are there already." in one.resume().stderr


def test_a_dry_run_checks_and_makes_nothing(batch, server):
    one = batch("--server", server.url, "--dry-run", prompts=TEXTS[:3])
    result = one.run()
    assert result.returncode == 0, result.stderr
    assert "Prompt (3).text = {prompt}" in result.stderr
    assert "KSampler (6).seed = {seed}" in result.stderr
    assert "3 rows to make on 1 workers; nothing was made." in result.stderr
    assert not one.out.exists()


def test_a_workflow_that_saves_nothing_says_so(batch, server, tmp_path, workflow):
    workflow["8"] = {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}}
    file = tmp_path / "preview.json"
    file.write_text(json.dumps(workflow), "utf-8")
    one = batch("--server", server.url, "--tries", 1, prompts=TEXTS[:1], workflow=file)
    result = one.run()
    assert result.returncode == 1
    assert "The workflow saved no file: add a Save Image node" in one.records[0]["error"]
