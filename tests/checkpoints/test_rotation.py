"""The latest checkpoints of a run: which is which, after a rotation and after a kill in the middle of one."""

import os
from pathlib import Path

import pytest

from gradvitals.checkpoints.rotation import NEW, names, newest_first, rotate


def written(folder: Path, contents: dict[str, str]) -> Path:
    for name, content in contents.items():
        (folder / name).write_text(content)
    return folder


def contents(folder: Path) -> list[str]:
    return [path.read_text() for path in newest_first(folder)]


def test_each_moves_to_the_place_of_the_next_older_one(tmp_path):
    for number in range(5):
        rotate(written(tmp_path, {NEW: str(number)}) / NEW, names(3))
        assert contents(tmp_path) == [str(n) for n in range(number, max(-1, number - 3), -1)]
    assert {path.name for path in tmp_path.iterdir()} == set(names(3))


@pytest.mark.parametrize("moves", range(3))
def test_a_kill_in_between_keeps_the_order(tmp_path, monkeypatch, moves):
    written(tmp_path, {NEW: "3", "last.ckpt": "2", "last-1.ckpt": "1", "last-2.ckpt": "0"})
    left, replace = iter(range(moves)), os.replace

    def killed(*paths):
        if next(left, None) is None:
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        rotate(tmp_path / NEW, names(3))
    assert contents(tmp_path) == (["3", "2", "1", "0"] if moves == 0 else ["3", "2", "1"])


def test_more_than_ten_are_sorted_by_age(tmp_path):
    written(tmp_path, {name: str(age) for age, name in enumerate(names(12))} | {"best.ckpt": "best"})
    assert contents(tmp_path) == [str(age) for age in range(12)]
