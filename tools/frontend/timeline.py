"""Reads the timeline of the first HiCache Patch Model in the open workflow."""

from playwright.sync_api import TimeoutError as NotInTime

from .page import Frontend

ROOT = "patchNode().widgets.find(w => w.name === 'timeline').element"
BARS = f"""() => {{
  const canvas = {ROOT}.shadowRoot.querySelector('canvas'), context = canvas.getContext('2d');
  const top = 8 * canvas.height / 40, count = 50, found = [];
  for (let step = 0; step < count; step++) {{
    const x = Math.floor((step + 0.4) / count * canvas.width);
    found.push(context.getImageData(x, top, 1, 1).data[3] > 0 ? 1 : 0);
  }}
  return found.join('');
}}"""  # "1" for a high bar, "0" for a low one, of fifty steps


def label(frontend: Frontend) -> str:
    """All that it says."""
    return frontend.evaluate(f"() => {ROOT}.getAttribute('aria-label')")


def wait_for(frontend: Frontend, text: str) -> str:
    """All that it says as soon as this is a part of it. Raises TimeoutError with what it says after a minute."""
    shows = f"text => {ROOT}.getAttribute('aria-label').includes(text)"
    try:
        frontend.page.wait_for_function(shows, arg=text, timeout=60_000, polling=50)
    except NotInTime:
        raise TimeoutError(f"The timeline never said {text!r}, but says {label(frontend)!r}.") from None
    return label(frontend)
