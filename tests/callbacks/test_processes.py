"""Two processes (gloo) at half the batch each against plain autograd in float64 on the whole batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from tests.callbacks.twin import Twin
from tests.callbacks.two_processes import CLIP, data, network

SCRIPT = Path(__file__).with_name("two_processes.py")
ROOT = SCRIPT.parents[2]


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_numbers_are_those_of_the_whole_batch(mode, clips, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    arguments = [str(SCRIPT), mode, "clips" if clips else "free", str(tmp_path / "found.json")]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *arguments], capture_output=True, text=True, timeout=240, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())

    twin = Twin(network(), ("0", "2", "4"), {"0": "1", "2": "3"})
    x, y = data()[:200]
    expected = twin.backward([(x, y)], F.cross_entropy).before()
    if clips:
        expected |= twin.after_clipping(lambda ps: clip_grad_norm_(ps, CLIP))
        expected |= {"clip/cosine": 1.0, "clip/cosine_per_tensor": 1.0}
    expected |= twin.step(lambda ps: torch.optim.SGD(ps, lr=100.0))
    expected = {rename(tag): value for tag, value in expected.items()}
    start = {tag: value for tag, value in found["start"].items() if not tag.startswith("dead_fraction")}
    assert start == pytest.approx(expected, rel=1e-5, abs=1e-12)
    if clips:  # without, nets that learn at this rate do not stay as they were
        assert found["end"]["dead_fraction/01.net.2"] == pytest.approx(2 / 7)


def rename(tag: str) -> str:
    kind, _, label = tag.partition("/")
    index, dot, name = label.partition(".")
    return f"{kind}/{index}.net.{name}" if dot else tag
