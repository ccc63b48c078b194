"""Two processes with DDP: a loop of one's own has the numbers of Lightning, and waits for nobody."""

import json

import pytest

from tests.distributed.pair import torchrun
from tests.integrations import two_loops

EXACT = {"rel": 1e-6, "abs": 1e-12, "nan_ok": True}


def test_a_plain_loop_of_two_processes_has_the_numbers_of_lightning(tmp_path):
    code, printed = torchrun(tmp_path, 2, str(tmp_path), script=two_loops.__file__)
    assert code == 0, printed[-3000:]
    found, others = (json.loads((tmp_path / f"found-{rank}.json").read_text()) for rank in (0, 1))
    for of_process in (found, others):
        assert of_process["ours"]["start"] == pytest.approx(of_process["theirs"]["start"], **EXACT)
        assert of_process["ours"]["end"] == pytest.approx(of_process["theirs"]["end"], **EXACT)
    assert found["ours"]["end"]["clip/coefficient"] < 1
    assert len(list((tmp_path / "events").iterdir())) == 1  # the second process writes nothing
    assert found["alone"].count("\n") == 1
    assert "expected a call in each of 2 processes" in found["alone"]
