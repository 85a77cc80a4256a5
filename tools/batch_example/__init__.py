"""A batch that runs on any machine: 24 texts for the small Flux."""

import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKFLOW, PROMPTS = HERE / "workflow.json", HERE / "prompts.txt"


def prepare(base: Path) -> None:
    """Puts the node that reads the texts among the custom nodes of a base directory."""
    folder = base / "custom_nodes" / "small_flux_text"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (HERE / "nodes" / "__init__.py", HERE.parent / "small_models" / "pictures.py"):
        shutil.copy2(file, folder / file.name)
