"""Random command lines: each one trains two steps, or ends in one clear line before training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from omegaconf import OmegaConf

from gradvitals.app.config.schema import RULES
from tests.conftest import CONF
from tests.faults.as_typed import Ended, TooLong, run
from tests.faults.configs import GROUPS, OPTIONS, SHORT, drawn, keys_of
from tests.faults.files import fill, verdict

PARTS, LINES = 6, 50
TYPED = (  # in processes of their own: what only there can be seen
    ["trainer=ddp_cpu"],
    ["model.depth=1000000000"],
    ["optimizer=sgd", "optimizer.lr=1e30", "trainer.max_steps=2"],
    ["seed=${seed}"],
    ["trainer.limit_test_batches=0.001", "--nosuch"],
)


def trouble(words: list[str], folder: Path) -> str | None:
    """What is wrong with how a command line ended; None: nothing."""
    fill(folder)
    before = set(folder.rglob("*"))
    longer = any(key in word for word in words[len(SHORT) :] for key in ("max_steps", "fast_dev_run"))
    try:
        return verdict(run(words, folder), folder, before, steps=math.inf if longer else 2)
    except TooLong as late:
        return f"hangs: {late}"


@pytest.mark.parametrize(
    "part", [part if part < PARTS // 3 else pytest.param(part, marks=pytest.mark.slow) for part in range(PARTS)]
)
def test_random_command_lines(tmp_path: Path, tally, monkeypatch, part):
    monkeypatch.setenv("GRADVITALS_DATA", ".")  # experiments find small images there, and need no network
    # Asked whether a config makes a sweep of itself, Hydra composes all of it once more; hydra.mode=RUN makes none.
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)
    found = {}
    for seed in range(part * LINES, (part + 1) * LINES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        words = drawn(seed)
        if wrong := trouble(words, folder):
            found[seed] = (wrong, words)
    print(*found.items(), sep="\n")
    tally(f"random configs {part + 1}", tried=LINES, survived=LINES - len(found))


def test_typed_command_lines(warm_command, tmp_path: Path, tally):
    """As a user types them, in processes of their own."""
    survived = 0
    for words in TYPED:
        before = set(tmp_path.rglob("*"))
        done = warm_command(*SHORT, *words)
        wrong = verdict(Ended(done.returncode, done.stdout, done.stderr), tmp_path, before)
        print(words, wrong, done.stderr)
        survived += wrong is None
    tally("random configs, typed", tried=len(TYPED), survived=survived)


@pytest.mark.parametrize("group", sorted(set(GROUPS) - {"experiment", "debug", "sweep"}))
def test_every_key_has_a_rule(group):
    for option in OPTIONS[group]:
        assert {key for key in keys_of({group: option}) if key.partition(".")[0] == group} <= set(RULES)


def test_every_key_of_the_train_config_has_a_rule():
    content = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml"))
    assert set(content) - {"defaults", "paths", "hydra"} <= set(RULES)
