// What the server told of runs, by their id: for every node object, also one that is made anew by undo or a reload.
import { app } from "../../../scripts/app.js";
import { nodeAt } from "./graph.mjs";

const KEPT = 64;
const QUIET = 2000; // milliseconds without news, after which a run that goes on is asked for
const runs = new Map();

/** A whole run as the server keeps it; the newest of a node and a sampler replaces the one before. ``question``, which
    the timeline finds out, is what was asked for where the run is the answer. */
export function keep(run) {
  const known = runs.get(run.run);
  if (known && known.evaluations.length > run.evaluations.length) {
    known.heard = performance.now();
    return;
  }
  for (const [id, other] of runs) {
    if (["workflow", "node", "sampler"].every((name) => other[name] === run[name])) runs.delete(id);
  }
  const question = known?.question;
  runs.set(run.run, { ...run, question, evaluations: [...run.evaluations], heard: performance.now() });
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
  run.heard = performance.now();
  run.evaluations.splice(data.first, run.evaluations.length, ...data.evaluations);
  if (data.report) run.report = data.report;
  return true;
}

/** All that the server keeps of a workflow's runs. One that goes on here and that it does not know has died with it. */
export function keepAll(workflow, known) {
  for (const [id, run] of runs) {
    if (run.workflow === workflow && !run.report && !known.some((one) => one.run === id)) runs.delete(id);
  }
  known.forEach(keep);
}

/** Whether a run of the workflow goes on without news, as one that another tab has queued. */
export function anyQuiet(workflow) {
  const before = performance.now() - QUIET;
  return [...runs.values()].some((run) => run.workflow === workflow && !run.report && run.heard < before);
}

/** Whether there has been news of any run within the last moments. */
export function isLively() {
  const before = performance.now() - QUIET;
  return [...runs.values()].some((run) => run.heard >= before);
}

/** The runs that a node of the open workflow shows, the latest last, as long as their sampler is there. A node in a
    subgraph may stand for several. */
export function asSeenBy(node) {
  const workflow = app.rootGraph?.id;
  return [...runs.values()].filter(
    (run) =>
      (!run.workflow || run.workflow === String(workflow)) &&
      nodeAt(run.node) === node &&
      (!run.sampler || nodeAt(run.sampler)),
  );
}
