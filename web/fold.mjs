// Widgets that the schema calls advanced are folded in the classic renderer too, and leave no empty row there.

export function fold(node) {
  for (const widget of node.widgets ?? []) {
    if (!widget.options?.advanced) continue;
    widget.advanced = true;
    let hidden = widget.hidden;
    Object.defineProperty(widget, "hidden", {
      configurable: true,
      enumerable: true,
      get: () => hidden || (!LiteGraph.vueNodesMode && !node.showAdvanced),
      set: (value) => (hidden = value),
    });
  }
}
