"""Refusals: one sentence, exit code 2, nothing written."""

import json
import os
import subprocess
import sys

import pytest
from comfy_client.server import free_port

from .conftest import stop

pytestmark = pytest.mark.server


def refused(one, sentence):
    before = one.out.exists()
    result = one.run()
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert one.out.exists() == before
    return result


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "Sampler.steps=7"], "'Sampler.steps' names no node of the workflow: write NODE.input"),
        (["--set", "6.stepps=7"], "'6.stepps' names no input: choose one of KSampler.model"),
        (["--set", "6.steps=0"], "Row 0 gives KSampler (6).steps '0': choose from 1 to 10000"),
        (["--set", "6.steps"], "'6.steps' is not NODE.INPUT=VALUE"),
        (["--seed", "-1"], "-1 is not a whole number from 0 to 2^64 - 1"),
        (["--seed", "18446744073709551615"], "The seed of row 1 is 18446744073709551616"),
        (["--tries", "0"], "0 is not a number from 1"),
        (["--gpus", "0"], "--server uses what is running and --gpus starts something: leave out one of the two."),
        (["--workers", "2"], "--workers starts something"),
        (["--address", "auto"], "--address starts something"),
        (["--server", "host:8188"], "--server is host:8188: write a URL such as http://host:8188"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_arguments(batch, server, arguments, sentence):
    refused(batch("--server", server.url, *arguments), sentence)


def test_a_server_twice(batch, server):
    refused(batch("--server", server.url, "--server", server.url + "/"), "is there twice")


def test_a_server_that_does_not_answer(batch, server):
    url = f"http://127.0.0.1:{free_port()}"
    refused(batch("--server", server.url, "--server", url), f"No ComfyUI answers at {url} (")


def test_a_server_that_is_no_comfyui(batch, tmp_path):
    code = "import http.server as h; s = h.ThreadingHTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)"
    code += "; print(s.server_port, flush=True); s.serve_forever()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path, text=True) as other:
        try:
            url = f"http://127.0.0.1:{other.stdout.readline().strip()}"
            refused(batch("--server", url), f"No ComfyUI answers at {url} (")
        finally:
            other.kill()


def test_files_that_are_not_there(batch, server, tmp_path):
    missing = tmp_path / "none"
    refused(batch("--server", server.url, prompts=missing.with_suffix(".txt")), "Cannot read the prompt file")
    refused(batch("--server", server.url, workflow=missing.with_suffix(".json")), "Cannot read the workflow")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no JSON"),
        ("[]", "is no ComfyUI workflow: save one with Save or Export (API) in ComfyUI"),
        ("{}", "is no ComfyUI workflow"),
        ('{"last_node_id": 3}', "is no ComfyUI workflow"),
        ('{"1": {"inputs": {}}}', "is no ComfyUI workflow"),
        ('{"nodes": [{"id": 1}], "links": []}', "is damaged"),
        ('{"nodes": 3}', "is no ComfyUI workflow"),
        ('{"nodes": [{"id": 1, "type": "NoSuchNode", "inputs": [], "mode": 0}], "links": []}', "NoSuchNode"),
    ],
)
def test_a_workflow_that_is_none(batch, server, tmp_path, content, sentence):
    file = tmp_path / "workflow.json"
    file.write_text(content, "utf-8")
    refused(batch("--server", server.url, workflow=file), sentence)


def test_an_api_workflow_with_a_node_that_the_server_lacks(batch, server, tmp_path, workflow):
    workflow["3"]["class_type"] = "NoSuchNode"
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(workflow), "utf-8")
    refused(batch("--server", server.url, workflow=file), "Node 3 is a 'NoSuchNode': this server has no such node type")


def test_a_folder_that_cannot_be_written(batch, server, tmp_path):
    (tmp_path / "file").touch()
    refused(batch("--server", server.url, out=tmp_path / "file" / "out"), "Cannot write to")
    assert (tmp_path / "file").read_bytes() == b""


def test_help_names_every_argument():
    command = [sys.executable, "-m", "hicache_batch", "--help"]
    text = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"}
    ).stdout
    named = ("workflow", "prompts", "out", "gpus", "workers", "address", "server", "comfyui", "set", "seed", "resume")
    assert all(f"--{name}" in text for name in (*named, "dry-run"))


def test_a_batch_beside_another_in_the_same_folder(batch, server, long_rows):
    first = batch("--server", server.url, prompts=long_rows)
    process = first.start()
    first.wait_for_rows(1, process)
    result = first.resume()
    assert stop(process)[0] == 130
    assert (result.returncode, "Another batch is writing to" in result.stderr) == (2, True)
