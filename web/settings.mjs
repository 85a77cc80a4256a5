// The way back: a button on HiCache Settings that sets every widget to the default of the node's own schema.
import { fold } from "./fold.mjs";
import { words } from "./words.mjs";

export function addReset(node) {
  const button = node.addWidget("button", "reset", null, () => reset(node), { serialize: false });
  button.label = words().reset();
  button.serialize = false; // options.serialize keeps it out of the prompt, this out of the workflow
  fold(node);
}

function reset(node) {
  const { required = {}, optional = {} } = node.constructor.nodeData?.input ?? {};
  const schema = { ...required, ...optional };
  for (const widget of node.widgets) {
    const value = schema[widget.name]?.[1]?.default;
    if (value === undefined) continue;
    widget.value = value;
    widget.callback?.(value);
  }
  node.setDirtyCanvas(true, true);
}
