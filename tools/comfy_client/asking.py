"""Single requests to a server, for scripts that wait for nothing else."""

import json
import urllib.request
from typing import Any


def get(url: str, path: str) -> Any:
    return _answer(url + path)


def post(url: str, path: str, body: dict[str, Any]) -> Any:
    """The answer, None if it is empty."""
    data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
    return _answer(urllib.request.Request(url + path, data, kind))


def _answer(request: str | urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")
