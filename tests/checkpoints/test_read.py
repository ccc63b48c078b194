"""What a checkpoint must contain, and that a header leaves the tensors in the file."""

import pytest
import torch

from gradvitals.checkpoints.read import read, read_header, require_keys


def test_keys_and_their_types():
    require_keys({"epoch": 1, "more": None}, {"epoch": int}, "a.ckpt: expected x")
    for content, words in (
        ([], "it is a list"),
        ({}, "it has no epoch"),
        ({"epoch": "1"}, "its epoch is a str, expected int"),
    ):
        with pytest.raises(ValueError, match=f"^a.ckpt: expected x; {words}$"):
            require_keys(content, {"epoch": int}, "a.ckpt: expected x")


def test_a_header_is_read_without_its_tensors(tmp_path, monkeypatch):
    file, loads = tmp_path / "a.ckpt", []
    torch.save({"state_dict": {"weight": torch.ones(3)}, "global_step": 7}, file)

    def load(*args, original=torch.load, **kwargs):
        loads.append(kwargs["mmap"])
        return original(*args, **kwargs)

    monkeypatch.setattr(torch, "load", load)
    assert read_header(file, "resume")["global_step"] == read(file, "resume")["global_step"] == 7
    assert loads == [True, None]
    with pytest.raises(FileNotFoundError, match="resume: expected a checkpoint or a run directory; there is no"):
        read_header(tmp_path / "b.ckpt", "resume")
