// HiCache in the browser: a live timeline on HiCache Patch Model, a way back to the defaults on HiCache Settings.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addReset } from "./settings.mjs";
import { forgetPlans } from "./timeline/plan.mjs";
import { anyQuiet, asSeenBy, isLively, keepAll, take } from "./timeline/runs.mjs";
import { addTimeline, refresh } from "./timeline/widget.mjs";

const LOOK = 2000; // milliseconds
const EVENTS = ["hicache.started", "hicache.evaluated", "hicache.ended"];

let missed = false; // whether the server was away, which the frontend says; it is asked again
let busy = false; // whether the server works, perhaps for another tab, which alone is told of its runs

async function loadRuns() {
  const workflow = app.rootGraph?.id;
  if (!workflow) return;
  try {
    const answer = await api.fetchApi(`/hicache/runs?workflow=${encodeURIComponent(workflow)}`);
    if (answer.ok) keepAll(workflow, await answer.json());
    missed = false;
    refresh();
  } catch {
    missed = true;
  }
}

for (const event of EVENTS) {
  api.addEventListener(event, ({ detail }) => {
    if (event === "hicache.ended") forgetPlans(); // now the server knows the model
    if (take(event, detail)) refresh();
    else loadRuns(); // of a run that this page has not seen begin, or with a gap
  });
}

app.registerExtension({
  name: "HiCache",
  setup() {
    const look = () => missed || anyQuiet(app.rootGraph?.id) || (busy && !isLively());
    setInterval(() => look() && loadRuns(), LOOK);
    api.addEventListener("status", ({ detail }) => {
      const before = busy;
      busy = (detail?.exec_info?.queue_remaining ?? 0) > 0;
      if (before && !busy) loadRuns();
    });
  },
  nodeCreated(node) {
    if (node.comfyClass === "HiCachePatchModel") addTimeline(node, () => asSeenBy(node));
    if (node.comfyClass === "HiCacheSettings") addReset(node);
  },
  afterConfigureGraph() {
    loadRuns();
  },
});
