"""What the real frontend makes of a workflow."""

from typing import Any

from frontend.page import Frontend

SCRIPT = """async workflow => {
  await app.loadGraphData(workflow);
  await new Promise(done => setTimeout(done, 60));  // inputs that grow do so in the next frames
  try {
    return {prompt: (await app.graphToPrompt()).output};
  } catch (error) {
    return {error: String(error)};
  }
}"""


def frontend_prompt(frontend: Frontend, workflow: dict[str, Any]) -> dict[str, Any]:
    """{"prompt": ...}, or {"error": ...} where the frontend itself cannot."""
    return frontend.evaluate(SCRIPT, workflow)
