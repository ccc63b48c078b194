"""Fits and pre-flights of modules that work in place, mix units, or run in inference mode."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models

from gradvitals import GradientVitals, preflight
from gradvitals.signal_propagation.reading import Preflight
from tests.callbacks.trainer import bare_trainer

WIDTH = 8
X, Y = torch.randn(16, WIDTH, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3

IN_PLACE = {
    "relu": nn.ReLU,
    "leaky_relu": lambda inplace: nn.LeakyReLU(0.2, inplace),
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
}


class Own(nn.Module):
    """An activation of one's own."""

    is_activation = True


class PerChannel(Own):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((WIDTH,), 0.5))

    def forward(self, x):
        return torch.where(x > 0, x, self.slope * x)


class TwoAxes(Own):
    def forward(self, x):
        _, features = x.shape
        return x.relu().reshape(-1, features)


class Gated(Own):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.eye(WIDTH))

    def forward(self, x):
        return x * (x @ self.gate).sigmoid()


class Swapped(Own):
    """Takes a flat grid but mixes its two halves."""

    def forward(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([a * b.sigmoid(), b * a.sigmoid()], -1)


class OverUnits(Own):
    """Takes a flat grid but normalizes over it."""

    def forward(self, x):
        return x.softmax(-1)


class Remembering(Own):
    """Keeps what it returned, which cannot be copied."""

    def forward(self, x):
        self.latest = x.tanh()
        return self.latest


class Noisy(Own):
    def forward(self, x):
        return x.relu() + 0.1 * torch.randn_like(x)


class SinglePrecision(torch.autograd.Function):
    """A kernel that refuses other precisions, in backward too."""

    @staticmethod
    def forward(ctx, x):
        assert x.dtype == torch.float32
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x > 0)


class Fused(Own):
    def forward(self, x):
        return SinglePrecision.apply(x)


UNPREDICTABLE = [partial(nn.PReLU, WIDTH), PerChannel, TwoAxes, Gated, Swapped, OverUnits, Remembering, Noisy, Fused]


def between(act: nn.Module) -> nn.Sequential:
    """The activation between the first two of three linear layers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), act, nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 3))


def fitted(net: nn.Module, *batches: tuple[torch.Tensor, torch.Tensor], watched: bool = True) -> GradientVitals:
    """Trains for two steps; without the monitor where it is not ``watched``."""
    from tests.callbacks.test_foreign import Task

    monitor = GradientVitals(every_n_steps=1, noise_scale=True, histograms=True)
    loader = DataLoader(list(batches) or TensorDataset(X, Y), batch_size=None if batches else len(X))
    trainer = bare_trainer(*[monitor][:watched], max_steps=2, max_epochs=2)
    torch.manual_seed(1)
    trainer.fit(Task(net), loader)
    assert trainer.global_step == 2
    return monitor


def gains(found: Preflight) -> list[float | None]:
    return [layer.gain_predicted for layer in found.layers]


def same_weights(net: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_activation_in_place_is_measured_and_predicted_like_any_other(name):
    in_place, plain = (between(IN_PLACE[name](inplace=inplace)) for inplace in (True, False))
    found, expected = (preflight(net, (X, Y), F.cross_entropy) for net in (in_place, plain))
    assert None not in gains(expected)[:-1]
    assert found == expected
    of_fit, of_plain_fit = fitted(in_place), fitted(plain)
    assert of_fit.start == of_plain_fit.start
    assert of_fit.preflight == of_plain_fit.preflight
    assert gains(of_fit.preflight) == pytest.approx(gains(expected))
    assert same_weights(in_place, plain)


@pytest.mark.parametrize("kind", UNPREDICTABLE)
def test_an_activation_that_is_no_function_of_one_number_has_no_prediction(kind):
    net = between(kind())
    alone = copy.deepcopy(net)
    found = fitted(net).preflight
    assert [gain is None for gain in gains(found)] == [True, False, True]  # the layers around it keep theirs
    assert all(layer.gain_measured for layer in found.layers[:-1])
    assert [gain is None for gain in gains(preflight(net, (X, Y), F.cross_entropy))] == [True, False, True]
    fitted(alone, watched=False)
    assert same_weights(net, alone)  # not even the random numbers were touched


class Composed(Own):
    """A function of one number, part of which another module computes."""

    def __init__(self) -> None:
        super().__init__()
        self.squash = nn.Module()
        self.squash.forward = torch.tanh_

    def forward(self, x):
        return self.squash(x)


def test_an_activation_of_ones_own_is_predicted():
    assert gains(fitted(between(Composed())).preflight) == gains(fitted(between(nn.Tanh())).preflight)


def in_inference_mode(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.inference_mode():
        return tuple(tensor.clone() for tensor in tensors)


class Standardized(nn.Module):
    """Statistics were taken in inference mode; so the network can be trained on batches of that mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.net = between(nn.ReLU(inplace=True))
        self.standardize = nn.Module()
        self.standardize.register_buffer("mean", *in_inference_mode(X.mean(0)))

    def forward(self, x):
        return self.net(x - self.standardize.mean)


class Frozen(nn.Module):
    """A frozen backbone in inference mode in front of a head that learns."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = between(nn.ReLU(inplace=True))[:2], between(nn.ReLU(inplace=True))
        self.identity = nn.Identity()

    def forward(self, x):
        with torch.inference_mode():
            features = self.backbone(x)
        return self.head(self.identity(features).clone())


@pytest.mark.parametrize("kind", [Standardized, Frozen])
def test_tensors_of_inference_mode(kind):
    batch = in_inference_mode(X)[0], Y
    for given in (batch, (X, Y)):
        torch.manual_seed(0)
        net = kind()
        alone = copy.deepcopy(net)
        assert fitted(net, given, given).preflight is not None
        fitted(alone, given, given, watched=False)
        assert same_weights(net, alone)
        assert preflight(net, given, F.cross_entropy).layers
    assert batch[0].is_inference()


def test_a_preflight_takes_a_batch_of_inference_mode_and_may_be_called_there():
    net = between(nn.ReLU(inplace=True))
    expected = preflight(net, (X, Y), F.cross_entropy, torch.optim.Adam)
    assert preflight(net, in_inference_mode(X, Y), F.cross_entropy, torch.optim.Adam) == expected
    with torch.inference_mode():
        assert preflight(net, (X, Y), F.cross_entropy, torch.optim.Adam) == expected


# The smallest of each family of classifiers, at a size of the images that it takes.
FAMILIES = {
    "alexnet": 64,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 64,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vgg11": 64,
    "vgg11_bn": 64,
    "vit_b_32": 64,
    "wide_resnet50_2": 64,
}
SIZED = {"maxvit_t": {"input_size": (64, 64), "partition_size": 2}, "vit_b_32": {"image_size": 64}}
HEADS = {"googlenet": {"aux_logits": False}, "inception_v3": {"aux_logits": False}}  # of one output


def built(name: str) -> nn.Module:
    options = SIZED.get(name, {}) | HEADS.get(name, {})
    if name in HEADS:
        options["init_weights"] = False  # slow
    if name == "maxvit_t":
        kind = models.maxvit.MaxVit
        return kind(
            stem_channels=16,
            block_channels=[16, 32],
            block_layers=[1, 1],
            head_dim=16,
            num_classes=3,
            stochastic_depth_prob=0.2,
            **options,
        )
    return models.get_model(name, weights=None, num_classes=3, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_of_torchvision_is_trained_as_without_the_monitor(name, caplog):
    torch.manual_seed(0)
    net = built(name)
    alone = copy.deepcopy(net)
    x, y = torch.randn(2, 3, FAMILIES[name], FAMILIES[name]), torch.arange(2)
    monitor = fitted(net, (x, y), (x, y))
    fitted(alone, (x, y), (x, y), watched=False)
    assert same_weights(net, alone)
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), alone.buffers(), strict=True))
    assert len(monitor.preflight.layers) == len(monitor.layers) == len(preflight(net, (x, y), F.cross_entropy).layers)
    assert not [record for record in caplog.records if "off from now on" in record.getMessage()]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("vgg11", 32), ("alexnet", 64), ("mobilenet_v3_small", 32)])
def test_networks_of_torchvision_that_work_in_place(name, size):
    net = getattr(models, name)(num_classes=3)
    x, y = torch.randn(4, 3, size, size), torch.arange(4) % 3
    monitor = fitted(net, (x, y), (x, y))
    assert [layer.name for layer in monitor.preflight.layers] == [layer.name for layer in monitor.layers]
    # Between its last two linear layers AlexNet has nothing but an activation in place, the others dropout too.
    assert (gains(monitor.preflight)[-2] is not None) == (name == "alexnet")
    assert preflight(net, (x, y), F.cross_entropy).layers
