"""Precision, fused optimizers, clipping and strategies together: what works, and what is refused before the start."""

import pytest

from gradvitals.errors import ConfigError
from tests.conftest import composed
from tests.distributed.cases import CLIPS, OPTIMIZERS, PRECISIONS, STEPS
from tests.distributed.pair import pair
from tests.distributed.small_fit import batches, model
from tests.distributed.test_sync_batch_norm import whole_distance

CLOSE = {"32-true": 1e-5, "bf16-mixed": 0.02, "bf16-true": 0.02}  # bfloat16 has three digits
KINDS = {"32-true": "torch.float32", "bf16-mixed": "torch.float32", "bf16-true": "torch.bfloat16"}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_gradients(strategy, precision, accumulate):
    found = pair().found[f"precision {strategy} {precision} {accumulate}"]
    expected = clipped_mean(model(optimizer=OPTIMIZERS["adam"]).net, batches(STEPS * accumulate)[:accumulate])
    assert whole_distance(found["seen"][0], expected) < CLOSE[precision]
    assert len(found["seen"]) == STEPS
    assert found["kinds"] == [KINDS[precision]]


def clipped_mean(net, micro):
    """The gradient of the mean over micro-batches, clipped by its norm."""
    from torch.nn.functional import cross_entropy
    from torch.nn.utils import clip_grad_norm_

    for x, y in micro:
        (cross_entropy(net(x), y) / len(micro)).backward()
    clip_grad_norm_(net.parameters(), CLIPS["norm"])
    return {name: p.grad for name, p in net.named_parameters()}


REFUSED = {
    ("trainer=fsdp", "trainer.precision=16-mixed"): "trainer=fsdp takes 32-true, .*; got 16-mixed. .*or trainer=ddp",
    ("trainer=fsdp", "trainer.precision=16"): "got 16-mixed",
    ("trainer=fsdp", "trainer.precision=64-true"): "got 64-true",
    ("trainer=fsdp", "optimizer=sgd", "optimizer.fused=true"): "takes it with .*Adam.*got torch.optim.SGD.*fused=auto",
    ("trainer.strategy=fsdp",): "trainer.strategy=fsdp: an older FSDP.*Set trainer=fsdp",
    ("trainer.precision=16-true",): "expected optimizer.eps of at least 6.1e-05; got 1e-08",
    ("trainer=ddp", "clip=agc", "trainer.precision=bf16", "optimizer.fused=true"): "Set optimizer.fused=false",
    ("trainer=ddp", "clip=norm", "trainer.precision=16", "optimizer.fused=true"): "Set optimizer.fused=false",
    ("trainer.strategy={a:1}",): "trainer.strategy: expected a name or a class with its arguments; got",
    ("trainer.sync_batchnorm=2",): "trainer.sync_batchnorm: expected one of true, false; got 2",
}
ACCEPTED = [
    ("trainer=fsdp",),
    ("trainer=fsdp", "trainer.precision=bf16-mixed", "clip=agc"),
    ("trainer=fsdp", "optimizer.fused=true", "trainer.precision=32"),
    ("trainer=fsdp", "trainer.strategy=ddp"),
    ("trainer=ddp", "trainer.precision=16-mixed", "clip=norm"),
    ("trainer.precision=16-true", "optimizer=sgd"),
    ("trainer.precision=16-true", "optimizer.eps=1e-4"),
    ("trainer=ddp", "trainer.sync_batchnorm=true", "model=bn"),
]


@pytest.mark.parametrize("typed", REFUSED, ids=" ".join)
def test_refused_before_the_start(typed):
    with pytest.raises(ConfigError, match=REFUSED[typed]) as told:
        composed(*typed).validate()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("typed", ACCEPTED, ids=" ".join)
def test_accepted(typed):
    composed(*typed).validate()
