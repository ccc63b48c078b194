"""Commands in processes that are forked from one which has imported torch: each saves the seconds that the imports take.

What a command imports by itself, and how soon it ends, is tested with the fixture ``command``, which starts a new interpreter.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
IMPORTED = (
    "gradvitals.app.commands.train",
    "gradvitals.app.run.assemble",
    "gradvitals.app.run.run_result",
    "gradvitals.data.csv",
    "gradvitals.data.digits",
    "gradvitals.loggers.hparams",
    "google_crc32c",
    "lightning",
    "sklearn.datasets",
    "sklearn.model_selection",
    "tensorboard.plugins.hparams.plugin_data_pb2",
    "torch.utils.tensorboard",
)


class WarmInterpreter:
    """The process that commands are forked from."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        self._server = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, script: Path, words: tuple[str, ...], folder: Path, env: dict[str, str], out: Path) -> Any:
        """Runs ``python SCRIPT WORDS`` in a folder, and returns what ``subprocess.run`` does.

        Args:
            script: the path of the script.
            words: what is typed after it.
            folder: the working directory.
            env: the whole environment.
            out: an empty folder for what is printed.
        """
        files = (str(out / "stdout"), str(out / "stderr"))
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps([str(script), words, str(folder), env, files]), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        return subprocess.CompletedProcess([str(script), *words], code, *(Path(file).read_text() for file in files))

    def close(self) -> None:
        """Ends the process."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()


def serve() -> None:
    """Forks once for each line of standard input, and answers with the exit code; returns in each forked process."""
    for name in IMPORTED:
        import_module(name)
    for line in sys.stdin:
        script, words, folder, env, files = json.loads(line)
        if pid := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            continue
        for number, file in enumerate((os.devnull, *files)):
            os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        sys.argv, sys.path[0] = [script, *words], str(Path(script).parent)
        return
    sys.exit()


if __name__ == "__main__":
    serve()
    runpy.run_path(sys.argv[0], run_name="__main__")
