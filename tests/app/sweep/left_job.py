"""A job's directory."""

import json
from pathlib import Path
from zipfile import ZipFile


def left_job(sweep_dir: Path, name: str, words: list[str], status: str | None = None, checkpoint: bool = False) -> Path:
    """A job's directory as Hydra and the app leave it."""
    folder = sweep_dir / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text("seed: 0\n")
    (folder / ".hydra/overrides.yaml").write_text(json.dumps(words))
    if status:
        (folder / "result.json").write_text(json.dumps({"status": status, "overrides": words}))
    if checkpoint:
        (folder / "checkpoints").mkdir()
        ZipFile(folder / "checkpoints/last.ckpt", "w").close()
    return folder
