// Reads the graph: which samplers a Patch node leads to, and what is chosen there. Nothing here changes a node.
import { app } from "../../../scripts/app.js";

const FROM_OUTSIDE = "-10"; // the node that a subgraph's inputs come from; ids are texts or numbers, by the frontend's version
const TO_OUTSIDE = "-20"; // the node that a subgraph's outputs lead to
const [ACTIVE, MUTED] = [0, 2];
export const BYPASSED = 4;
const CARRIERS = ["MODEL", "GUIDER", "*"];
const SAMPLER_WIDGETS = ["sampler_name", "scheduler", "denoise", "start_at_step", "end_at_step"];

/** The node with an execution id such as "3:2", node 2 in the subgraph of node 3. */
export function nodeAt(id) {
  let graph = app.rootGraph;
  let node = null;
  for (const part of String(id).split(":")) {
    node = graph?.getNodeById(part) ?? null;
    graph = node?.subgraph;
  }
  return node;
}

/** The subgraph nodes from the root to a graph, the outermost first; null if it is not in the open workflow. */
export function pathTo(graph, from = app.rootGraph, path = []) {
  if (graph === from) return path;
  for (const node of from?.nodes ?? []) {
    const found = node.subgraph && pathTo(graph, node.subgraph, [...path, node]);
    if (found) return found;
  }
  return null;
}

/** Whether the node or a subgraph that it is in is bypassed or muted: the frontend changes no node inside. */
export function isOff({ node, path }) {
  return [...path, node].some((one) => one.mode === BYPASSED || one.mode === MUTED);
}

/** What the node's model reaches: every sampler with what is chosen there, {id, steps, ...} (steps undefined where
    unknown), in the order of the way there; and whether another node of this kind comes first, which then counts. */
export function reached(node) {
  const path = pathTo(node.graph);
  const found = { samplings: [], another: false };
  if (!path) return found;
  const seen = new Set();
  const waiting = [...targets(node, 0, path)];
  while (waiting.length) {
    const place = waiting.shift();
    const id = executionId(place);
    if (seen.has(id) || place.node.mode === MUTED) continue;
    seen.add(id);
    const outputs = place.node.outputs ?? [];
    const passedBy = place.node.mode === BYPASSED;
    if (!passedBy && place.node.comfyClass === node.comfyClass) found.another = true;
    else if (!passedBy && outputs.some((output) => output.type === "LATENT")) {
      found.samplings.push({ id, ...choices(place) });
    } else {
      outputs.forEach((output, slot) => {
        if (CARRIERS.includes(output.type)) waiting.push(...targets(place.node, slot, place.path));
      });
    }
  }
  return found;
}

/** The widgets of the HiCache Settings node at an input, as the server names them; null without one. */
export function widgetsAt(node, input) {
  const path = pathTo(node.graph);
  const place = path && source({ node, path }, input);
  if (!place?.node || place.node.mode !== ACTIVE) return null;
  const named = place.node.widgets.filter((widget) => widget.name && widget.serialize !== false);
  return Object.fromEntries(named.map((widget) => [widget.name, valueOf(place, widget.name)]));
}

/** The value of a widget, or of what is linked to it; undefined where only a run tells. */
export function valueOf(place, name) {
  const from = source(place, name);
  if (!from) return place.node.widgets?.find((widget) => widget.name === name)?.value;
  if ("value" in from) return from.value;
  return from.node.widgets?.length === 1 || from.node.comfyClass?.startsWith("Primitive")
    ? from.node.widgets?.[0]?.value
    : undefined;
}

export function executionId({ node, path }) {
  return [...path, node].map((part) => part.id).join(":");
}

/** Noise levels are known where a node makes them of the name of a scheduler, as the host's own samplers do. */
function choices(place) {
  const sigmas = source(place, "sigmas");
  const scheduler = sigmas?.node ? sigmas : place;
  if (!scheduler.node.widgets?.some((widget) => widget.name === "scheduler")) return {};
  const sampler = source(place, "sampler");
  const read = (name) =>
    valueOf(scheduler, name) ?? valueOf(place, name) ?? (sampler?.node && valueOf(sampler, name)) ?? undefined;
  return { steps: valueOf(scheduler, "steps"), ...Object.fromEntries(SAMPLER_WIDGETS.map((name) => [name, read(name)])) };
}

/** The inputs that an output of a node feeds, into and out of subgraphs. */
function* targets(node, slot, path) {
  for (const id of node.outputs?.[slot]?.links ?? []) yield* ends(node.graph.getLink(id), node.graph, path);
}

function* ends(link, graph, path) {
  if (!link) return;
  if (String(link.target_id) === TO_OUTSIDE) {
    if (path.length) yield* targets(path.at(-1), link.target_slot, path.slice(0, -1));
    return;
  }
  const node = graph.getNodeById(link.target_id);
  if (!node) return;
  if (!node.subgraph) {
    yield { node, path };
    return;
  }
  if (node.mode === MUTED) return;
  if (node.mode === BYPASSED) {
    for (const [slot, output] of node.outputs.entries()) if (output.type === link.type) yield* targets(node, slot, path);
    return;
  }
  for (const id of node.subgraph.inputs[link.target_slot]?.linkIds ?? []) {
    yield* ends(node.subgraph.getLink(id), node.subgraph, [...path, node]);
  }
}

/** What an input is linked to: {node, path}, or {value} of a subgraph's own widget; null if nothing is. */
function source({ node, path }, name) {
  const input = node.inputs?.find((one) => one.name === name);
  return input?.link == null ? null : start(node.graph.getLink(input.link), node.graph, path);
}

function start(link, graph, path) {
  if (!link) return null;
  if (String(link.origin_id) === FROM_OUTSIDE) return outside(path.at(-1), link.origin_slot, path.slice(0, -1));
  const node = graph.getNodeById(link.origin_id);
  if (node?.subgraph) {
    const inner = node.subgraph.outputs[link.origin_slot]?.linkIds?.[0];
    return start(node.subgraph.getLink(inner), node.subgraph, [...path, node]);
  }
  if (node?.type === "Reroute") return start(node.graph.getLink(node.inputs[0].link), node.graph, path);
  return node ? { node, path } : null;
}

function outside(parent, slot, path) {
  const input = parent?.inputs[slot];
  if (!input) return null;
  if (input.link != null) return start(parent.graph.getLink(input.link), parent.graph, path);
  return { value: parent.widgets?.find((widget) => widget.name === (input.widget?.name ?? input.name))?.value };
}
