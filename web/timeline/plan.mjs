// Asks the server what a run is going to do: the schedule exists in Python alone.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { executionId, pathTo, reached, valueOf, widgetsAt } from "./graph.mjs";

const KEPT = 100;
const PAUSE = 2000; // milliseconds until a server that was away or busy is asked again
const answers = new Map(); // by question: {plan} once the server has answered, and who waits for it

/** Of a node: a question for each sampler, as JSON, and whether another node like it comes before them. */
export function asked(node) {
  const path = pathTo(node.graph);
  if (!path) return { questions: [], another: false };
  const place = { node, path };
  const [mode, speed, tolerance] = ["mode", "speed", "tolerance"].map((name) => valueOf(place, name));
  const about = { node: executionId(place), workflow: String(app.rootGraph.id), mode, speed, tolerance };
  const settings = widgetsAt(node, "settings");
  const { samplings, another } = reached(node);
  const questions = samplings.map(({ id, ...sampling }) => ({
    sampler: id,
    question: JSON.stringify({ ...about, settings, sampling: Number.isInteger(sampling.steps) ? sampling : null }),
  }));
  return { questions, another };
}

/** The plan if it is known already; else `then` is called when it is. */
export function planOf(question, then) {
  let known = answers.get(question);
  if (known?.plan) return known.plan;
  if (!known) {
    while (answers.size >= KEPT) answers.delete(answers.keys().next().value);
    known = { waiting: new Set() };
    answers.set(question, known);
    fill(question, known);
  }
  known.waiting.add(then);
  return null;
}

/** After a run the server knows the model: ask again. */
export function forgetPlans() {
  answers.clear();
}

async function fill(question, known) {
  known.plan = await answerTo(question);
  if (!known.plan) {
    await new Promise((over) => setTimeout(over, PAUSE));
    if (answers.get(question) === known) answers.delete(question);
  }
  known.waiting.forEach((then) => then());
}

/** A plan, or {error} where the server refuses the values; null if it could not be asked. */
async function answerTo(question) {
  try {
    const answer = await api.fetchApi("/hicache/plan", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: question,
    });
    return answer.ok || answer.status === 400 ? await answer.json() : null;
  } catch {
    return null;
  }
}
