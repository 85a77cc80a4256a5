"""One tab with the frontend in it: open a workflow, look at nodes, run it."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from comfy_client import forget, get, post
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import TimeoutError as NotInTime

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {  # no tour, no news, no drafts: the canvas alone
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": "1.47.12",
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.Workflow.Persist": False,
    "Comfy.RightSidePanel.IsOpen": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.ConfirmClear": False,
    "Comfy.Locale": "en",
    "Comfy.ColorPalette": "dark",
}
READY = "type => window.app?.vueAppReady && app.graph && LiteGraph.registered_node_types[type]"
OPENED = "() => app.extensionManager.workflow.activeWorkflow?.path"  # the default one, after the page is ready
SECONDS = 120
HELPERS = """() => {
  window.patchNode = () => app.graph.nodes.find(n => n.type === 'HiCachePatchModel');
  window.setWidget = (node, name, value) => {
    const widget = node.widgets.find(w => w.name === name);
    widget.value = value;
    widget.callback?.(value, app.canvas, node);
    node.setDirtyCanvas(true, true);
  };
}"""


class Frontend:
    """A tab of ``context`` with the server at ``url``.

    ``problems`` are the errors and warnings that its console showed, each with where it came from.
    """

    def __init__(self, url: str, context: BrowserContext, page: Page) -> None:
        self.url, self.context, self.page = url, context, page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"{error.message}\n{error.stack}"))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.text} ({message.location['url']})")

    def load(self) -> None:
        """The page, with the workflow that the frontend opens by itself."""
        self.page.goto(self.url)
        self.page.wait_for_function(READY, arg="HiCachePatchModel", timeout=1000 * SECONDS)
        self.page.wait_for_function(OPENED, timeout=1000 * SECONDS)
        self.page.wait_for_timeout(500)
        self.page.evaluate(HELPERS)

    def open(self, workflow: dict[str, Any]) -> None:
        """A saved workflow, in a tab of the frontend's own, all of it in view."""
        self.page.evaluate("async workflow => { await app.loadGraphData(workflow); }", workflow)
        self.page.wait_for_timeout(700)
        self.command("Comfy.Canvas.FitView")
        self.page.wait_for_timeout(700)

    def open_anew(self, workflow: dict[str, Any]) -> None:
        """With an id of its own: the server remembers what ran in a workflow, and that is shown before a plan."""
        self.open(workflow | {"id": str(uuid.uuid4())})

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        """A place in the graph, in pixels of the page."""
        found = self.page.evaluate(
            """([x, y]) => {
              const page = app.canvas.canvas.getBoundingClientRect(), {offset, scale} = app.canvas.ds;
              return [page.left + (x + offset[0]) * scale, page.top + (y + offset[1]) * scale];
            }""",
            [x, y],
        )
        return found[0], found[1]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse, in pixels of the page."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=10)
        self.page.wait_for_timeout(100)
        mouse.up()
        self.page.wait_for_timeout(300)

    def search(self, name: str, x: float, y: float) -> None:
        """Adds a node as an artist does, at a free place in the graph: a double click, the name, Enter, a click."""
        place = self.on_screen(x, y)
        self._open_search(place)
        self.page.keyboard.type(name)
        first = "document.querySelector('[data-testid=result-item]')?.textContent.startsWith(name)"
        self.page.wait_for_function(f"name => {first}", arg=name)
        self.page.keyboard.press("Enter")
        self.page.get_by_placeholder("Add a node").wait_for(state="detached")
        self.page.wait_for_timeout(500)
        self.page.mouse.click(*place)  # until then the node follows the mouse
        self.page.wait_for_timeout(500)

    def _open_search(self, place: tuple[float, float]) -> None:
        """Two clicks with more than 300 ms between them, as on a busy machine, are no double click to the frontend."""
        box = self.page.get_by_placeholder("Add a node")
        for _ in range(10):
            self.page.mouse.dblclick(*place)
            with suppress(NotInTime):
                box.wait_for(timeout=1000 * SECONDS / 10)
                return
        raise RuntimeError(f"No double click at {place} opened the search box.")

    def empty_place(self) -> tuple[float, float]:
        """In pixels of the page, below all nodes."""
        x, y = self.page.evaluate(
            """() => {
              const boxes = app.canvas.graph.nodes.map(n => n.getBounding());
              return [boxes[0][0], Math.max(...boxes.map(box => box[1] + box[3])) + 60];
            }"""
        )
        return self.on_screen(x, y)

    def command(self, name: str) -> None:
        self.page.evaluate("name => app.extensionManager.command.execute(name)", name)

    def evaluate(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def set(self, widget: str, value: Any, node: str = "patchNode()") -> None:
        self.page.evaluate(f"([name, value]) => setWidget({node}, name, value)", [widget, value])

    def queue(self) -> None:
        """Raises RuntimeError with what the frontend says if it refuses."""
        forget(self.url)
        if not self.page.evaluate("() => app.queuePrompt(0, 1)"):
            raise RuntimeError(self.page.evaluate("() => JSON.stringify(app.extensionManager.lastNodeErrors)"))

    def wait_until_idle(self) -> None:
        for _ in range(10 * SECONDS):
            queue = get(self.url, "/queue")
            if not queue["queue_running"] and not queue["queue_pending"]:
                self.page.wait_for_timeout(600)  # for the last events, and a frame
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"The server at {self.url} still works after {SECONDS} seconds.")


@contextmanager
def opened(
    url: str, chromium: str, vue: bool, size: tuple[int, int] = (1500, 900), scale: float = 1, **settings: Any
) -> Iterator[Frontend]:
    """A browser with one tab. vue: Nodes 2.0 instead of the classic canvas. settings: of the frontend, "." as "_"."""
    chosen = {name.replace("_", "."): value for name, value in settings.items()}
    post(url, "/settings", {**SETTINGS, "Comfy.VueNodes.Enabled": vue, **chosen})
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            args=ARGUMENTS,
            viewport={"width": size[0], "height": size[1]},
            device_scale_factor=scale,
        )
        context.route(lambda url: url.startswith("https://"), lambda route: route.fulfill(status=204))
        context.route("**/user.css", lambda route: route.fulfill(status=200, content_type="text/css", body=""))
        try:
            frontend = Frontend(url, context, context.pages[0])
            frontend.load()
            yield frontend
        finally:
            context.close()
