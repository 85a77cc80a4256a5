// HiCache in the browser: a live timeline on every HiCache Patch Model node.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { forgetPlans } from "./timeline/plan.mjs";
import { asSeenBy, keep, take } from "./timeline/runs.mjs";
import { addTimeline, refresh } from "./timeline/widget.mjs";

const EVENTS = ["hicache.started", "hicache.evaluated", "hicache.ended"];

async function loadRuns() {
  const workflow = app.rootGraph?.id;
  if (!workflow) return;
  const answer = await api.fetchApi(`/hicache/runs?workflow=${encodeURIComponent(workflow)}`);
  if (answer.ok) for (const run of await answer.json()) keep(run);
  refresh();
}

app.registerExtension({
  name: "HiCache.Timeline",
  setup() {
    for (const event of EVENTS) {
      api.addEventListener(event, ({ detail }) => {
        if (event === "hicache.ended") forgetPlans(); // now the server knows the model
        if (take(event, detail)) refresh();
        else loadRuns(); // of a run that this page has not seen begin, or with a gap
      });
    }
  },
  nodeCreated(node) {
    if (node.comfyClass === "HiCachePatchModel") addTimeline(node, () => asSeenBy(node));
  },
  afterConfigureGraph() {
    loadRuns();
  },
});
