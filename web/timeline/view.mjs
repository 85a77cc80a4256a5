// Turns a plan or a run into what is drawn: one cell for each step, and two lines of text. No DOM here.
import { words } from "../words.mjs";

const RANK = { forecast: 0, computed: 1, refused: 2 };

/** Of a plan of the server. */
export function planned(plan) {
  const say = words();
  if (plan.error) return { ...nothing(say.refused()), note: plan.error, warns: true };
  if (plan.total === null) return { ...nothing(say.unknown()), aside: plan.speedup ? say.atMost(plan.speedup) : "" };
  const computed = new Set(plan.computed);
  const open = plan.fewest === plan.most ? "forecast" : "open";
  const cells = Array.from({ length: plan.total }, (_, step) => ({ kind: computed.has(step) ? "computed" : open }));
  return { cells, title: say.plan(plan), aside: say.about(plan), note: plan.message, warns: !!plan.message };
}

/** Of a run that goes on or is over. */
export function ran(run) {
  const say = words();
  const cells = Array.from({ length: run.total }, (_, step) => ({
    kind: run.planned.includes(step) ? "computed" : run.adaptive ? "open" : "forecast",
  }));
  for (const one of run.evaluations) if (cells[one.step]) add(cells[one.step], one);
  for (const [step, cell] of cells.entries()) if (cell.action) cell.hint = hint(say, step, cell);
  const done = cells.filter((cell) => cell.action).length;
  const calls = cells.filter((cell) => cell.action && cell.action !== "forecast").length;
  const totals = { done, calls, total: run.total };
  return run.report ? over(say, cells, run, totals) : { cells, title: say.running(totals), note: "", live: true };
}

/** Without a plan to show. */
export function nothing(title) {
  return { cells: [], title, note: "" };
}

/** A sampler may evaluate the model more than once in a step. */
function add(cell, { action, error, corrected, seconds, reason }) {
  if (!(RANK[action] < RANK[cell.action])) cell.action = action;
  cell.error = Math.max(error ?? 0, cell.error ?? 0) || cell.error;
  cell.corrected ||= corrected;
  cell.seconds = (cell.seconds ?? 0) + seconds;
  cell.reason ||= reason;
}

function hint(say, step, cell) {
  const parts = [say.step({ step, action: say.actions[cell.action], seconds: cell.seconds })];
  if (cell.reason) parts.push(cell.reason);
  if (cell.corrected) parts.push(say.corrected());
  if (cell.error) parts.push(say.error(cell.error));
  return parts.join("\n");
}

function over(say, cells, { report }, totals) {
  const evaluations = report.calls + report.forecasts;
  const cost = { speedup: report.speedup_seconds, saved: report.seconds_saved, bytes: report.bytes_held, device: report.device };
  const gain = report.forecasts && cost.saved > 0 ? say.saved(cost) : say.slower(cost);
  return {
    cells,
    title: report.finished ? say.ended({ calls: report.calls, evaluations }) : say.stopped(totals),
    aside: report.forecasts ? say.fewer(report.speedup_calls) : "",
    note: report.messages[0] ?? gain,
    hint: [gain, ...report.messages].join("\n"),
    warns: report.messages.length > 0,
  };
}
