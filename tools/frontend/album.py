"""Pictures of the timeline in every state, for docs/timeline.md."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from . import one_picture
from .page import Frontend
from .timeline import wait_for

COLOURS = 128
MARGIN = 16  # pixels of the page around the nodes
SETTLED = 1200  # milliseconds
SAMPLER = "app.graph.nodes.find(n => n.type === 'KSampler')"
Bring = Callable[[Frontend], None]


@dataclass(frozen=True)
class State:
    """How the frontend is brought to it from the open example, which node is shown, and what it is."""

    name: str
    caption: str
    bring: Bring
    shown: str = "HiCachePatchModel"
    after: Bring | None = None  # back to what other pictures need
    side: int = 128  # pixels of what is sampled
    passing: bool = False  # soon over


def _plan(frontend: Frontend) -> None:
    wait_for(frontend, "20 of 50 steps computed")


def _running(frontend: Frontend) -> None:
    frontend.queue()
    wait_for(frontend, "Step 2")


def _ended(frontend: Frontend) -> None:
    frontend.queue()
    frontend.wait_until_idle()
    wait_for(frontend, " saved")


def _adaptive(frontend: Frontend) -> None:
    frontend.set("mode", "adaptive")
    wait_for(frontend, " to 50 of 50")


def _adaptive_ended(frontend: Frontend) -> None:
    _adaptive(frontend)
    frontend.queue()
    frontend.wait_until_idle()


def _paper(frontend: Frontend) -> None:
    frontend.set("mode", "paper")
    frontend.set("speed", 7)
    frontend.queue()
    frontend.wait_until_idle()


def _full(frontend: Frontend) -> None:
    frontend.set("sampler_name", "lcm", SAMPLER)
    frontend.queue()
    frontend.wait_until_idle()


def _several(frontend: Frontend) -> None:
    frontend.evaluate(
        f"""() => {{
          const first = {SAMPLER}, second = LiteGraph.createNode('KSampler');
          app.graph.add(second);
          second.pos = [first.pos[0], first.pos[1] + 400];
          patchNode().connect(0, second, 'model');
        }}"""
    )
    wait_for(frontend, "Sampler 1 of 2")


def _bypassed(frontend: Frontend) -> None:
    frontend.evaluate("() => { patchNode().mode = 4; app.graph.setDirtyCanvas(true, true); }")
    wait_for(frontend, "Bypassed")


def _unconnected(frontend: Frontend) -> None:
    frontend.evaluate("() => patchNode().disconnectOutput(0)")
    wait_for(frontend, "Connect a sampler")


def _settings(frontend: Frontend, unfolded: bool = False) -> None:
    frontend.evaluate(
        """unfolded => {
          const node = LiteGraph.createNode('HiCacheSettings');
          app.graph.add(node);
          node.pos = [patchNode().pos[0] - 800, patchNode().pos[1]];
          node.connect(0, patchNode(), 'settings');
          node.showAdvanced = unfolded;
          node.setSize(node.computeSize());
        }""",
        unfolded,
    )
    frontend.command("Comfy.Canvas.FitView")
    frontend.page.wait_for_timeout(800)


def _stopped(frontend: Frontend) -> None:
    frontend.set("steps", 400, SAMPLER)
    frontend.queue()
    wait_for(frontend, "Step 1")
    frontend.evaluate("() => app.api.interrupt()")
    frontend.wait_until_idle()
    wait_for(frontend, "Stopped")


def _unknown(frontend: Frontend) -> None:
    frontend.evaluate(
        f"""() => {{
          const add = type => app.graph.add(LiteGraph.createNode(type)) ?? app.graph.nodes.find(n => n.type === type);
          const old = {SAMPLER}, [sampler, sigmas] = ['SamplerCustom', 'KarrasScheduler'].map(add);
          patchNode().connect(0, sampler, 'model');
          sigmas.connect(0, sampler, 'sigmas');
          [sampler.pos, sigmas.pos] = [[...old.pos], [old.pos[0], old.pos[1] + 500]];
          app.graph.remove(old);
        }}"""
    )
    wait_for(frontend, "Planned when the run starts")


def _refused(frontend: Frontend) -> None:
    frontend.set("mode", "listed steps")
    wait_for(frontend, "No plan for these values")


def _failed(frontend: Frontend) -> None:
    _refused(frontend)
    frontend.queue()
    frontend.wait_until_idle()


def _dismiss(frontend: Frontend) -> None:
    frontend.page.get_by_test_id("error-overlay-dismiss").click()


def _subgraph(frontend: Frontend) -> None:
    frontend.evaluate(
        """() => {
          app.canvas.selectItems([patchNode()]);
          app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph');
        }"""
    )
    frontend.page.wait_for_function("() => app.graph.nodes.some(n => n.subgraph)")
    frontend.queue()
    frontend.wait_until_idle()
    frontend.evaluate(
        """() => {
          const outer = app.graph.nodes.find(n => n.subgraph);
          app.canvas.openSubgraph(outer.subgraph, outer);
        }"""
    )
    frontend.command("Comfy.Canvas.FitView")


def _outside(frontend: Frontend) -> None:
    frontend.evaluate("() => app.canvas.setGraph(app.rootGraph)")


def _choose(frontend: Frontend, setting: str, value: str) -> None:
    frontend.evaluate("([name, value]) => app.extensionManager.setting.set(name, value)", [setting, value])


def _light(frontend: Frontend) -> None:
    _choose(frontend, "Comfy.ColorPalette", "light")
    _ended(frontend)


def _dark(frontend: Frontend) -> None:
    _choose(frontend, "Comfy.ColorPalette", "dark")


def _speak(frontend: Frontend, language: str, label: str) -> None:
    """The frontend then opens the workflow anew. Where that comes before the texts of the language, as on a busy
    machine, it is asked to look again. label: what the widget of the speed is called in the end."""
    frontend.evaluate("() => { patchNode().before = true; }")
    _choose(frontend, "Comfy.Locale", language)
    frontend.page.wait_for_function("() => patchNode() && !patchNode().before", timeout=60_000)
    for _ in range(10):
        frontend.page.wait_for_timeout(SETTLED)
        if frontend.evaluate("() => patchNode().widgets.find(w => w.name === 'speed').label ?? 'speed'") == label:
            return
        frontend.command("Comfy.RefreshNodeDefinitions")
        frontend.open_anew(one_picture.example())
    raise TimeoutError(f"The frontend never called the speed {label!r}.")


def _chinese(frontend: Frontend) -> None:
    _speak(frontend, "zh", "加速倍数")
    frontend.queue()
    frontend.wait_until_idle()
    wait_for(frontend, "50 次中计算了 20 次")


def _english(frontend: Frontend) -> None:
    _speak(frontend, "en", "speed")


STATES = (
    State("plan", "Before the run: the plan, from the same code that the run follows.", _plan),
    State(
        "running",
        "During the run: what has happened in full colour, the rest pale.",
        _running,
        side=512,
        passing=True,
    ),
    State("ended", "After it: network calls, time saved, memory. Under the bars the local errors.", _ended),
    State("adaptive", "Mode *adaptive* before the run: only its bounds are known.", _adaptive),
    State("adaptive_ended", "Mode *adaptive* after it.", _adaptive_ended),
    State("stopped", "Interrupted.", _stopped),
    State("unknown", "Where only the run tells the number of steps: a bound before it.", _unknown),
    State("refused", "Values that have no plan, and why.", _refused),
    State("failed", "The same, queued: the host marks the node and shows the sentence.", _failed, after=_dismiss),
    State("subgraph", "Inside a subgraph, after a run.", _subgraph, after=_outside),
    State("paper", "Mode *paper* with speed 7.", _paper),
    State("computed_in_full", "A sampler whose steps cannot be forecast: all are computed, and it says why.", _full),
    State("several_samplers", "Two samplers on one model: a click at the right shows the next one.", _several),
    State("bypassed", "Bypassed.", _bypassed),
    State("unconnected", "Without a sampler.", _unconnected),
    State("settings_folded", "**HiCache Settings**.", _settings, "HiCacheSettings"),
    State("settings", "The same, unfolded.", partial(_settings, unfolded=True), "HiCacheSettings"),
    State("light", "The light theme.", _light, after=_dark),
    State("chinese", "In Chinese.", _chinese, after=_english),
)


def photograph(frontend: Frontend, folder: Path, renderer: str) -> None:
    """Writes a PNG of every state."""
    for state in STATES:
        frontend.open_anew(one_picture.example(state.side))
        state.bring(frontend)
        if not state.passing:
            frontend.page.wait_for_timeout(SETTLED)
        _shot(frontend, state.shown).save(folder / f"{state.name}_{renderer}.png", optimize=True)
        frontend.wait_until_idle()
        if state.after is not None:
            state.after(frontend)
            frontend.page.wait_for_timeout(SETTLED)


def _shot(frontend: Frontend, node: str) -> Image.Image:
    """Of the first node of that type, as it is drawn."""
    drawn = frontend.evaluate(
        """type => {
          const node = app.canvas.graph.nodes.find(n => n.type === type);
          const box = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
          return {box: box && [box.left, box.top, box.right, box.bottom], bounds: [...node.getBounding()]};
        }""",
        node,
    )
    x, y, width, height = drawn["bounds"]
    left, top, right, bottom = drawn["box"] or (*frontend.on_screen(x, y), *frontend.on_screen(x + width, y + height))
    size = {"width": right - left + 2 * MARGIN, "height": bottom - top + 2 * MARGIN}
    shot = frontend.page.screenshot(clip={"x": left - MARGIN, "y": top - MARGIN, **size})
    return Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS)


def page() -> str:
    """docs/timeline.md."""
    rows = "\n".join(
        f"| {state.caption} | ![{state.name}](img/timeline/{state.name}_classic.png) "
        f"| ![{state.name}](img/timeline/{state.name}_vue.png) |"
        for state in STATES
    )
    return (
        "# The timeline in every state\n\nScreenshots of ComfyUI's frontend with the small Flux, by `python dev.py "
        "exec -- python -m frontend`. What the bars\nmean: [help page](../web/docs/HiCachePatchModel.md#timeline).\n\n"
        "| | classic | Nodes 2.0 |\n|---|---|---|\n" + rows + "\n"
    )
