// The timeline as a widget of a node: state lives in runs.mjs and plan.mjs, so that it may be made anew at any time.
import { app } from "../../../scripts/app.js";
import { BYPASSED } from "./graph.mjs";
import { planOf, questions } from "./plan.mjs";
import { cellAt, HEIGHT as STRIP, paint } from "./paint.mjs";
import { nothing, planned, ran } from "./view.mjs";
import { words } from "../words.mjs";

const HEIGHT = 82; // CSS pixels
const LOOK = 500; // milliseconds between two looks at what the widgets say
const shown = new Set(); // the timelines of nodes that are in a graph
let looking = 0;

// In a shadow root: no style of the page reaches it, and none of it reaches the page. Only the theme's variables do.
const INSIDE = `
  <style>
    :host { position: relative; display: block; box-sizing: border-box; width: 100%; height: ${HEIGHT}px; min-height: ${HEIGHT}px;
      max-height: ${HEIGHT}px; overflow: hidden; padding: 4px 8px; font: 12px/16px Inter, system-ui, sans-serif; cursor: default; }
    div { display: flex; gap: 8px; height: 16px; color: var(--input-text, #ddd); white-space: nowrap; }
    .title { flex: 1; overflow: hidden; text-overflow: ellipsis; }
    .aside.clickable { cursor: pointer; text-decoration: underline dotted; }
    .note { color: var(--descrip-text, #999); font-size: 11px; }
    .note span { overflow: hidden; text-overflow: ellipsis; }
    .warns { color: #f59e0b; }
    canvas { display: block; width: 100%; height: ${STRIP}px; margin: 1px 0; }
  </style>
  <div><span class="title"></span><span class="aside"></span></div>
  <canvas></canvas>
  <div class="note"><span></span></div>`;

export function addTimeline(node, runs) {
  const timeline = new Timeline(node, runs);
  const widget = node.addDOMWidget("timeline", "hicache_timeline", timeline.root, {
    serialize: false,
    hideOnZoom: false,
    margin: 0,
    getMinHeight: () => HEIGHT,
    getMaxHeight: () => HEIGHT,
    getHeight: () => HEIGHT,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false; // options.serialize keeps it out of the prompt, this out of the workflow
  for (const one of node.widgets) if (one.options?.advanced) one.advanced = true; // folds in the classic renderer too
  node.setSize([Math.max(node.size[0], 260), Math.max(node.size[1], node.computeSize()[1])]);
  chain(node, "onAdded", () => show(timeline));
  chain(node, "onRemoved", () => hide(timeline));
}

/** After news of a run. */
export function refresh() {
  for (const timeline of shown) timeline.update(true);
}

function chain(node, name, then) {
  const before = node[name];
  node[name] = function (...args) {
    const answer = before?.apply(this, args);
    then();
    return answer;
  };
}

function show(timeline) {
  shown.add(timeline);
  looking ||= setInterval(() => document.hidden || shown.forEach((one) => one.update(false)), LOOK);
  timeline.start();
}

function hide(timeline) {
  shown.delete(timeline);
  timeline.stop();
  if (!shown.size) looking = clearInterval(looking) ?? 0;
}

class Timeline {
  constructor(node, runs) {
    this.node = node;
    this.runs = runs;
    this.chosen = null; // the sampler that the artist picked, of several
    this.now = null; // the sampler that is shown
    this.samplers = [];
    this.view = nothing("");
    this.root = document.createElement("div");
    this.root.className = "hicache-timeline";
    this.root.setAttribute("role", "img");
    this.inside = this.root.attachShadow({ mode: "open" });
    this.inside.innerHTML = INSIDE;
    [this.title, this.aside, this.canvas, this.note] = [".title", ".aside", "canvas", ".note span"].map((one) =>
      this.inside.querySelector(one),
    );
    this.canvas.addEventListener("mousemove", (event) => this.#hover(event));
    this.aside.addEventListener("click", () => this.#next());
    this.root.addEventListener("wheel", (event) => app.canvas.processMouseWheel(event));
    this.observer = new ResizeObserver(() => this.#schedule());
  }

  start() {
    this.observer.observe(this.root);
    this.update(true);
  }

  stop() {
    this.observer.disconnect();
  }

  /** Looks at the widgets and at the runs; draws if anything is new. */
  update(news) {
    const asked = questions(this.node);
    const say = words();
    const look = JSON.stringify([asked, this.node.mode, this.chosen, say.actions]);
    if (!news && look === this.look) return;
    this.look = look;
    this.view = this.#see(asked, say);
    this.#write();
    this.#schedule();
  }

  #see(asked, say) {
    const runs = this.runs();
    const now = this.chosen ?? runs.at(-1)?.sampler ?? asked[0]?.sampler;
    if (now !== this.now) this.view = nothing(""); // or it would stand for this one until its plan is here
    this.now = now;
    this.samplers = [...new Set([...asked, ...runs].map((one) => one.sampler))];
    if (this.node.mode === BYPASSED) return nothing(say.bypassed());
    const view = this.#of(
      say,
      asked.find((one) => one.sampler === now),
      runs.findLast((run) => run.sampler === now),
    );
    const several = this.samplers.length > 1;
    return several ? { ...view, aside: say.sampler(this.samplers.indexOf(now) + 1, this.samplers.length) } : view;
  }

  /** The run while it goes on, and after it until something is changed; else the plan. */
  #of(say, asked, run) {
    const question = asked?.question ?? "none";
    if (run?.report) run.question ??= question;
    if (run && (!run.report || run.question === question)) return ran(run);
    if (!asked) return nothing(say.unconnected());
    if (!asked.question) return run ? ran(run) : nothing(say.unknown());
    const plan = planOf(asked.question, () => this.update(true));
    return plan ? planned(plan) : this.view;
  }

  #next() {
    if (this.samplers.length < 2) return;
    this.chosen = this.samplers[(this.samplers.indexOf(this.now) + 1) % this.samplers.length];
    this.update(true);
  }

  #write() {
    const { title, aside = "", note = "", warns = false, hint = "" } = this.view;
    this.title.textContent = title;
    this.aside.textContent = aside;
    this.aside.classList.toggle("clickable", this.samplers.length > 1);
    this.note.textContent = note;
    this.note.classList.toggle("warns", warns);
    this.note.title = hint || note;
    this.root.setAttribute("aria-label", [title, aside, note].filter(Boolean).join(" · "));
  }

  #hover({ offsetX }) {
    const { cells } = this.view;
    this.canvas.title = cells[cellAt(offsetX, this.canvas.clientWidth, cells)]?.hint ?? "";
  }

  #schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    const width = this.canvas.clientWidth;
    if (!width) return; // collapsed, or in a graph that is not shown
    const scale = 2 * Math.max(1, window.devicePixelRatio); // the graph can be zoomed into
    const [across, down] = [width * scale, STRIP * scale].map(Math.round);
    if (this.canvas.width !== across || this.canvas.height !== down) {
      this.canvas.width = across;
      this.canvas.height = down;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    paint(context, width, this.view.cells);
  }
}
