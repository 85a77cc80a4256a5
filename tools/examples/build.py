"""From rows to the JSON that the real frontend saves."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frontend import Frontend

from .layout import ABOVE, BELOW, GREEN, YELLOW, Example, Node
from .models import as_list, files_in, models_in

NAMESPACE = uuid.UUID("7e1f8f0e-4a0c-4c1b-9a55-2b1d0c5e9f64")
TOOK = 500  # milliseconds until every widget has found its place
MAKE = """rows => {
  app.graph.clear();
  const made = {};
  for (const row of rows) {
    const node = LiteGraph.createNode(row.type);
    if (!node) throw new Error(`This ComfyUI has no node ${row.type}.`);
    node.pos = row.pos;
    app.graph.add(node);
    made[row.key] = node;
    for (const [name, value] of Object.entries(row.widgets)) {
      if (!node.widgets?.some(widget => widget.name === name)) throw new Error(`${row.type} has no widget ${name}.`);
      setWidget(node, name, value);
    }
    for (const widget of node.widgets ?? []) if (widget.name === "control_after_generate") widget.value = "fixed";
    if (row.title) node.title = row.title;
    const module = node.constructor.nodeData?.python_module; // the pack's name in the registry: where to get the node
    if (module) node.properties.cnr_id = module.startsWith("custom_nodes.") ? "hicache" : "comfy-core";
    if (row.models.length) node.properties.models = row.models;
    [node.color, node.bgcolor] = row.colours ?? [undefined, undefined];
  }
  for (const row of rows) for (const [input, [source, output]] of Object.entries(row.links)) {
    const from = made[source], slot = output ? from?.findOutputSlot(output) : 0;
    if (!from?.connect(slot, made[row.key], input)) throw new Error(`${row.key}.${input} does not take ${source}.`);
  }
}"""
SIZE = """rows => rows.forEach((row, index) => { app.graph.nodes[index].setSize(row.size); })"""


def _colours(row: Node) -> tuple[str, str] | None:
    return GREEN if row.type == "HiCachePatchModel" else None


def rows_of(example: Example) -> Iterator[dict[str, Any]]:
    """The note and every node, as the page takes them."""
    files = files_in(value for one in example.nodes for value in one.widgets.values())
    text = f"{example.note}\n\n{as_list(files)}" if files else example.note
    note = Node("note", "MarkdownNote", {}, {"text": text}, example.title)
    above = (0.0, -example.note_size[1] - ABOVE - BELOW)
    for one, pos, size in [(note, above, example.note_size), *example.boxes()]:
        models = [model._asdict() for model in models_in(one.widgets.values())]
        row = {"key": one.key, "type": one.type, "links": one.links, "widgets": one.widgets, "title": one.title}
        colours = YELLOW if one is note else _colours(one)
        yield row | {"pos": pos, "size": size, "models": models, "colours": colours}


def make(frontend: Frontend, example: Example) -> None:
    """The workflow, in place of what the frontend shows. Raises playwright's Error for a row that does not fit."""
    rows = list(rows_of(example))
    frontend.evaluate(MAKE, rows)
    frontend.page.wait_for_timeout(TOOK)
    frontend.evaluate(SIZE, rows)


def saved(frontend: Frontend, example: Example) -> str:
    """What the frontend saves of it, less what changes from one build, machine or release to the next."""
    workflow = json.loads(frontend.evaluate("() => JSON.stringify(app.graph.serialize())"))
    workflow |= {"id": str(uuid.uuid5(NAMESPACE, example.title)), "revision": 0, "extra": {}}
    for node in workflow["nodes"]:
        node["properties"].pop("ver", None)
        node["properties"].pop("aux_id", None)
    return json.dumps(workflow, indent=2, ensure_ascii=False) + "\n"


def write(frontend: Frontend, example: Example, folder: Path) -> None:
    make(frontend, example)
    (folder / f"{example.title}.json").write_text(saved(frontend, example), "utf-8")
