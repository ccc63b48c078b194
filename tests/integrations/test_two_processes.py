"""Where two processes share the batches, the numbers are those of the whole batch, and one process writes them."""

from __future__ import annotations

import json

import pytest
import torch

from tests.distributed.pair import torchrun
from tests.integrations import two_processes
from tests.integrations.net import Kept, Net, batches, expected
from tests.integrations.test_hugging_face import STEPS


@pytest.mark.slow
def test_the_numbers_are_those_of_the_whole_batch(tmp_path):
    code, printed = torchrun(tmp_path, 2, str(tmp_path), script=two_processes.__file__)
    assert code == 0, printed[-3000:]
    torch.manual_seed(0)
    steps = expected(Net(), batches(2 * STEPS), 2)
    found, others = (json.loads((tmp_path / f"found-{rank}.json").read_text()) for rank in (0, 1))
    assert found.keys() == {"hugging_face", "accelerate", "fabric"}
    for numbers in found.values():
        kept = Kept()
        kept.steps = {int(step): of_step for step, of_step in numbers.items()}
        kept.assert_agrees(steps)
    assert others == {name: {} for name in found}
