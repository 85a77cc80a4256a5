// What the server told of runs, by their id: for every node object, also one that is made anew by undo or a reload.
import { app } from "../../../scripts/app.js";
import { nodeAt } from "./graph.mjs";

const KEPT = 64;
const runs = new Map();

/** A whole run as the server keeps it; the newest of a node and a sampler replaces the one before. */
export function keep(run) {
  const known = runs.get(run.run);
  if (known && known.evaluations.length > run.evaluations.length) return;
  for (const [id, other] of runs) {
    if (["workflow", "node", "sampler"].every((name) => other[name] === run[name])) runs.delete(id);
  }
  runs.set(run.run, { ...run, evaluations: [...run.evaluations] });
  while (runs.size > KEPT) runs.delete(runs.keys().next().value);
}

/** An event of the server; false if something of the run is missing here. */
export function take(event, data) {
  if (event === "hicache.started") {
    keep(data);
    return true;
  }
  const run = runs.get(data.run);
  if (!run || data.first > run.evaluations.length) return false;
  run.evaluations.splice(data.first, run.evaluations.length, ...data.evaluations);
  if (data.report) run.report = data.report;
  return true;
}

/** The runs that a node of the open workflow shows, the latest last. A node in a subgraph may stand for several. */
export function asSeenBy(node) {
  const workflow = app.rootGraph?.id;
  return [...runs.values()].filter(
    (run) => (!run.workflow || run.workflow === String(workflow)) && nodeAt(run.node) === node,
  );
}
