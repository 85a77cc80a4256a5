"""python -m saved_graphs: every workflow that comes with the host, ours against the real frontend's prompt.

Run it by `python dev.py exec -- python -m saved_graphs`. Takes some ten minutes, almost all of them the frontend's;
`--answers FILE` keeps its answers, to be read again the next time.
"""

import argparse
import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from comfy_client import ComfyClient, WorkflowError, running_server, to_prompt
from frontend import find_or_install, opened

from .compare import differences
from .oracle import frontend_prompt
from .templates import read_all, unknown_types

LINES = 4  # of differences that are printed for a workflow


def main() -> None:
    parser = argparse.ArgumentParser(prog="saved_graphs", description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, help="keep the frontend's answers here, and read them if they are")
    parser.add_argument("--only", default="", help="workflows with this in their name")
    chosen = parser.parse_args()
    workflows = {name: workflow for name, workflow in read_all().items() if chosen.only in name}
    _report(workflows, _answers(workflows, chosen.answers))


def _answers(workflows: dict[str, Any], file: Path | None) -> dict[str, Any]:
    if file is not None and file.is_file():
        return json.loads(file.read_text("utf-8"))
    answers = _ask_frontend(workflows)
    if file is not None:
        file.write_text(json.dumps(answers), "utf-8")
    return answers


def _ask_frontend(workflows: dict[str, Any]) -> dict[str, Any]:
    with running_server(Path(os.environ["COMFYUI_PATH"])) as server:
        info = asyncio.run(_object_info(server.url))
        known = {name: workflow for name, workflow in workflows.items() if not unknown_types(workflow, info)}
        prompts = {}
        with opened(server.url, find_or_install(), vue=False) as tab:
            for number, (name, workflow) in enumerate(known.items()):
                prompts[name] = frontend_prompt(tab, workflow)
                print(f"{number + 1} of {len(known)}: {name}", flush=True)
    return {"object_info": info, "prompts": prompts}


async def _object_info(url: str) -> dict[str, Any]:
    async with ComfyClient(url) as client:
        return await client.object_info()


def _report(workflows: dict[str, Any], answers: dict[str, Any]) -> None:
    results, kinds = Counter(), Counter()
    for name, workflow in workflows.items():
        result, lines = _judge(workflow, answers["prompts"].get(name), answers["object_info"])
        results[result] += 1
        kinds.update({line.partition(":")[0] for line in lines})
        if result in ("differs", "refused"):
            print(f"{name}: {result}", *lines[:LINES], *["..."] * (len(lines) > LINES), sep="\n    ")
    print(f"{results['equal']} of {len(workflows) - results['not on this server']} are equal; {dict(results)}")
    print(f"workflows by kind of difference: {dict(kinds)}")


def _judge(workflow: dict[str, Any], answer: dict[str, Any] | None, info: dict[str, Any]) -> tuple[str, list[str]]:
    if answer is None:
        return "not on this server", []
    try:
        ours = to_prompt(workflow, info)
    except WorkflowError as error:
        return ("refused" if "prompt" in answer else "refused by both"), [str(error)]
    if "error" in answer:
        return "differs", [f"only the frontend refuses: {answer['error']}"]
    lines = list(differences(answer["prompt"], ours))
    return ("differs" if lines else "equal"), lines


if __name__ == "__main__":
    main()
