// The timeline as a widget of a node: state lives in runs.mjs and plan.mjs, so that it may be made anew at any time.
import { app } from "../../../scripts/app.js";
import { fold } from "../fold.mjs";
import { isOff, pathTo } from "./graph.mjs";
import { asked, planOf } from "./plan.mjs";
import { cellAt, HEIGHT as STRIP, paint } from "./paint.mjs";
import { nothing, planned, ran } from "./view.mjs";
import { words } from "../words.mjs";

const HEIGHT = 82; // CSS pixels
const REST = 58; // of them below the first line
const NONE = "none"; // the question of a run that began where no sampler was found
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
    .note { font-size: 11px; }
    .note span { overflow: hidden; text-overflow: ellipsis; }
    .warns { color: #f59e0b; }
    canvas { display: block; width: 100%; height: ${STRIP}px; margin: 1px 0; }
    :host(.words) canvas { display: none; }
    :host(.words) .note { height: ${REST}px; white-space: normal; overflow: hidden; }
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
  fold(node);
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
  looking ||= setInterval(() => document.hidden || shown.forEach(look), LOOK);
  timeline.start();
}

/** Loading another workflow tells the nodes of the root that they go, and those in subgraphs nothing. */
function look(timeline) {
  const before = timeline.isAway;
  timeline.isAway = !pathTo(timeline.node.graph);
  if (before && timeline.isAway) hide(timeline);
  else timeline.update(false);
}

function hide(timeline) {
  shown.delete(timeline);
  timeline.stop();
  if (!shown.size) looking = clearInterval(looking) ?? 0;
}

/** Whether a run had the settings and the number of steps that are asked for now. */
function answers(run, plan) {
  return run.settings === plan.settings && (plan.total === null || plan.total === run.total);
}

class Timeline {
  constructor(node, runs) {
    this.node = node;
    this.runs = runs;
    this.chosen = null; // the sampler that the artist picked, of several
    this.now = null; // the sampler that is shown
    this.samplers = [];
    this.isAway = false; // from the open workflow
    this.again = () => this.update(true);
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
    const { questions, another } = asked(this.node);
    const off = isOff({ node: this.node, path: pathTo(this.node.graph) ?? [] });
    const say = words();
    const look = JSON.stringify([questions, another, off, this.chosen, say.actions]);
    if (!news && look === this.look) return;
    this.look = look;
    this.view = off ? nothing(say.bypassed()) : this.#see(questions, another, say);
    this.#write();
    this.#schedule();
  }

  #see(questions, another, say) {
    const runs = this.runs();
    this.samplers = [...new Set([...questions, ...runs].map((one) => one.sampler))];
    if (!this.samplers.includes(this.chosen)) this.chosen = null;
    const now = this.chosen ?? runs.at(-1)?.sampler ?? questions[0]?.sampler;
    if (now !== this.now) this.view = nothing(""); // or it would stand for this one until its plan is here
    this.now = now;
    const question = questions.find((one) => one.sampler === now)?.question;
    const run = runs.findLast((one) => one.sampler === now);
    const view = question ? this.#of(question, run) : this.#unasked(run, another, say);
    const several = this.samplers.length > 1;
    return several ? { ...view, aside: say.sampler(this.samplers.indexOf(now) + 1, this.samplers.length) } : view;
  }

  /** The run while it goes on, and after it as long as it is what is asked for; else the plan. */
  #of(question, run) {
    const plan = planOf(question, this.again);
    if (plan && run && !run.question && answers(run, plan)) run.question = question;
    if (run && (!run.report || run.question === question)) return ran(run);
    if (plan) return planned(plan);
    return run && !run.question ? ran(run) : this.view;
  }

  /** Where no sampler is found that the model goes to. */
  #unasked(run, another, say) {
    if (run && !run.report) run.question = NONE;
    if (run?.question === NONE) return ran(run);
    return nothing(another ? say.superseded() : say.unconnected());
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
    this.root.classList.toggle("words", !this.view.cells.length);
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
