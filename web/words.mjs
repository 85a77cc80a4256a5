// What the timeline says, in the language of the frontend.
import { app } from "../../scripts/app.js";

const ENGLISH = {
  plan: (p) => (p.fewest === p.most ? `${p.most} of ${p.total} steps computed` : `${p.fewest} to ${p.most} of ${p.total} steps computed`),
  about: (p) => (p.fewest === p.most ? `about ${times(p.total / p.most)}` : ENGLISH.atMost(p.total / p.fewest)),
  atMost: (factor) => `at most ${times(factor)}`,
  unconnected: () => "Connect a sampler to see the plan",
  superseded: () => "The HiCache Patch Model after this one counts",
  bypassed: () => "Bypassed: every step is computed",
  refused: () => "No plan for these values",
  unknown: () => "Planned when the run starts",
  running: (r) => `Step ${r.done} of ${r.total}: ${r.calls} computed`,
  ended: (r) => `${r.calls} of ${r.evaluations} computed`,
  fewer: (factor) => `${times(factor)} fewer calls`,
  stopped: (r) => `Stopped at step ${r.done} of ${r.total}`,
  saved: (r) => `${times(r.speedup)} faster, ${seconds(r.saved)} saved, ${bytes(r.bytes)}${r.device ? ` on ${r.device}` : ""}`,
  slower: (r) => `nothing saved, ${bytes(r.bytes)}${r.device ? ` on ${r.device}` : ""}`,
  step: (s) => `Step ${s.step}: ${s.action}, ${seconds(s.seconds)}`,
  actions: { computed: "computed", forecast: "forecast", refused: "computed instead of forecast" },
  corrected: () => "drift corrected",
  error: (value) => `local error ${value.toPrecision(2)}`,
  reset: () => "Back to the defaults",
  sampler: (n, of) => `Sampler ${n} of ${of} ›`,
};

const CHINESE = {
  plan: (p) => (p.fewest === p.most ? `计算 ${p.total} 步中的 ${p.most} 步` : `计算 ${p.total} 步中的 ${p.fewest} 到 ${p.most} 步`),
  about: (p) => (p.fewest === p.most ? `约 ${times(p.total / p.most)}` : CHINESE.atMost(p.total / p.fewest)),
  atMost: (factor) => `最多 ${times(factor)}`,
  unconnected: () => "连接采样器后显示计划",
  superseded: () => "以后面的 HiCache 模型加速节点为准",
  bypassed: () => "已绕过：每一步都计算",
  refused: () => "无法按这些数值制定计划",
  unknown: () => "开始运行时才有计划",
  running: (r) => `第 ${r.done} / ${r.total} 步：已计算 ${r.calls} 步`,
  ended: (r) => `${r.evaluations} 次中计算了 ${r.calls} 次`,
  fewer: (factor) => `调用降至 1/${factor.toFixed(1)}`,
  stopped: (r) => `停在第 ${r.done} / ${r.total} 步`,
  saved: (r) => `提速 ${times(r.speedup)}，节省 ${seconds(r.saved)}，${bytes(r.bytes)}${r.device ? `（${r.device}）` : ""}`,
  slower: (r) => `没有节省，${bytes(r.bytes)}${r.device ? `（${r.device}）` : ""}`,
  step: (s) => `第 ${s.step} 步：${s.action}，${seconds(s.seconds)}`,
  actions: { computed: "已计算", forecast: "预测", refused: "未预测，改为计算" },
  corrected: () => "已校正漂移",
  error: (value) => `局部误差 ${value.toPrecision(2)}`,
  reset: () => "恢复默认值",
  sampler: (n, of) => `采样器 ${n} / ${of} ›`,
};

export function words() {
  return String(app.extensionManager?.setting?.get("Comfy.Locale") ?? "").startsWith("zh") ? CHINESE : ENGLISH;
}

function times(factor) {
  return `${factor.toFixed(1)}×`;
}

function seconds(value) {
  if (value >= 99.5) return `${Math.round(value / 60)} min`;
  return value >= 0.0995 ? `${value.toFixed(1)} s` : `${Math.round(value * 1000)} ms`;
}

function bytes(count) {
  if (count < 2 ** 20) return `${Math.ceil(count / 2 ** 10)} KiB`;
  return count < 2 ** 30 ? `${(count / 2 ** 20).toFixed(1)} MiB` : `${(count / 2 ** 30).toFixed(1)} GiB`;
}
