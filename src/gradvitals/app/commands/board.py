"""TensorBoard on some runs, opened on the losses and metrics of training and validation."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

ALWAYS = ("train/loss", "val/loss")  # pinned before the first event is there: the cards appear with their curves
MOST_PINS = 8  # of the 10 that TensorBoard allows, so that the user has some
EVENTS = "events.out.tfevents.*"
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve(folders: Collection[Path], newest: int, port: int | None) -> None:
    """Serves TensorBoard for this machine until a signal ends this process.

    Args:
        folders: run directories, or folders that contain some at any depth.
        newest: how many of the runs are shown.
        port: a free one near 6006 where it is None.

    Raises:
        ValueError: there are no events in the folders.
        SystemExit: TensorBoard cannot serve, and has printed why.
    """
    with _ended_by_signals() as temporary:
        runs = runs_below(folders)
        if not runs:
            names = " ".join(map(str, folders))
            raise ValueError(
                f"no TensorBoard events in {names}: expected run directories, or folders that contain some"
            )
        if len(runs) > newest:
            hint = f"--newest {len(runs)} shows all, slowly"
            print(f"board        the newest {newest} of {len(runs)} runs; {hint}", flush=True)
        from tensorboard import program

        folder = _log_directory(folders, runs, newest, temporary)
        make_server = program.create_port_scanning_werkzeug_server
        board = program.TensorBoard(server_class=lambda app, flags: make_server(pinning(app), flags))
        board.configure(["board", f"--logdir={folder}", "--host=localhost", *([f"--port={port}"] if port else [])])
        if board.main():
            raise SystemExit(1)


@contextmanager
def _ended_by_signals() -> Iterator[Path]:
    """A folder for all temporary files of this process, which Ctrl-C, SIGTERM and a closed terminal remove.

    They end the process at once, because an exception of a signal handler can be lost: Python prints and ignores it
    where the main thread is in the callback of a weak reference, as in an import or when the server starts a thread.
    """
    folder = Path(tempfile.gettempdir()) / f"board-{secrets.token_hex(8)}"  # a name before the handlers, which need it

    def end(number: int, frame: object) -> NoReturn:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in signals}
    elsewhere = tempfile.tempdir
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as below nohup
            signal.signal(number, end)
    try:
        folder.mkdir(mode=0o700)
        tempfile.tempdir = str(folder)  # for TensorBoard's own temporary files
        yield folder
    finally:
        tempfile.tempdir = elsewhere
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def runs_below(folders: Iterable[Path]) -> list[Path]:
    """Returns the directories with events in some folders, the newest first."""
    files = [file for folder in folders for file in Path(os.path.abspath(folder)).rglob(EVENTS)]
    newest_first = sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
    return list(dict.fromkeys(file.parent for file in newest_first))


def _log_directory(folders: Collection[Path], runs: list[Path], newest: int, temporary: Path) -> Path:
    """A folder with all runs, where later ones will be found too; or else one with links to the chosen runs.

    TensorBoard calls a run by its path below this folder, and ``.`` a run that is this folder itself.
    """
    parent = Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))
    if len(runs) <= newest and len(folders) == 1 and parent not in runs:
        return parent
    shown = set(runs[:newest])
    root = parent.parent if parent in shown else parent
    try:
        for run in shown:
            if shown.isdisjoint(run.parents):  # otherwise it is behind the link of its parent
                link = temporary / "runs" / run.relative_to(root)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(run, target_is_directory=True)
    except OSError:  # Windows lets only some users make links
        return parent
    return temporary / "runs"


def pinning(app: App) -> App:
    """Wraps TensorBoard's application: its root leads to the page with pinned cards, which an address can contain.

    TensorBoard itself opens on the first groups of tags by name: the gradient of each single layer.
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/" or environ.get("QUERY_STRING"):
            return app(environ, start)
        cards = [{"plugin": "scalars", "tag": tag} for tag in pinned(_tags(app))]
        address = "?" + urlencode({"pinnedCards": json.dumps(cards, separators=(",", ":"))})
        start("302 Found", [("Location", address), ("Content-Length", "0")])
        return []

    return answer


def pinned(tags: Iterable[str]) -> list[str]:
    """Returns the tags to pin: those of training and validation, by any metric, and losses first.

    Example:
        >>> pinned(["grad_norm/total", "test/acc", "train/acc", "train/loss", "val/acc", "val/loss"])
        ['train/loss', 'val/loss', 'train/acc', 'val/acc']
        >>> pinned(["val/r2", "train_loss_step"])
        ['train/loss', 'train_loss_step', 'val/loss', 'val/r2']
    """
    found = {tag for tag in tags if re.match("train|val|loss", tag)} | set(ALWAYS)
    return sorted(found, key=lambda tag: ("loss" not in tag, tag))[:MOST_PINS]


def _tags(app: App) -> set[str]:
    from werkzeug.test import Client

    by_run = Client(app).get("/data/plugin/timeseries/tags").get_json()["scalars"]["runTagInfo"]
    return {tag for tags in by_run.values() for tag in tags}
