// Asks the server what a run is going to do: the schedule exists in Python alone.
import { api } from "../../../scripts/api.js";
import { samplingsAfter, valueOf, widgetsAt } from "./graph.mjs";

const KEPT = 100;
const answers = new Map(); // by question; a promise until the server has answered

/** The questions of a node, one for each sampler, as JSON; null for a sampler whose steps only the run tells. */
export function questions(node) {
  const settings = widgetsAt(node, "settings");
  const here = { node, path: [] };
  const [mode, speed, tolerance] = ["mode", "speed", "tolerance"].map((name) => valueOf(here, name));
  return samplingsAfter(node).map(({ id, ...sampling }) => ({
    sampler: id,
    question: Number.isInteger(sampling.steps)
      ? JSON.stringify({ node: String(node.id), mode, speed, tolerance, settings, sampling })
      : null,
  }));
}

/** The plan if it is known already; else `then` is called when it is. */
export function planOf(question, then) {
  const known = answers.get(question);
  if (known) return known instanceof Promise ? null : known;
  while (answers.size >= KEPT) answers.delete(answers.keys().next().value);
  answers.set(question, ask(question).then((answer) => answers.set(question, answer)).then(then));
  return null;
}

/** After a run the server knows the model: ask again. */
export function forgetPlans() {
  answers.clear();
}

async function ask(question) {
  try {
    const answer = await api.fetchApi("/hicache/plan", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: question,
    });
    return await answer.json();
  } catch (error) {
    return { error: String(error) };
  }
}
