"""The pre-flight's numbers against plain autograd in float64."""

import copy
import math
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradvitals import preflight
from gradvitals.diagnosis.profile import profile
from gradvitals.nets.init import initialize
from gradvitals.nets.mlp import MLP
from gradvitals.signal_propagation.preflight import expected_loss
from gradvitals.signal_propagation.reading import LayerReading, Preflight

BATCH = (torch.randn(32, 6, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3)


def test_numbers_are_autograds():
    net = MLP(6, 3, depth=2, width=5)
    found = preflight(net, BATCH, F.cross_entropy)
    double = MLP(6, 3, depth=2, width=5).double()
    double.load_state_dict(net.state_dict())
    x = BATCH[0].double().requires_grad_()
    h1 = double.layers[0].linear(x)
    h2 = double.layers[1].linear(h1.relu())
    out = double.head(h2.relu())
    hs = (h1, h2, out)
    for h in hs:
        h.retain_grad()
    loss = F.cross_entropy(out, BATCH[1])
    loss.backward()
    norms = [h.grad.norm().item() for h in hs]
    assert found.loss_start == pytest.approx(loss.item(), rel=1e-6)
    assert found.input_grad_norm == pytest.approx(x.grad.norm().item(), rel=1e-5)
    assert [layer.activation_grad_norm for layer in found.layers] == pytest.approx(norms, rel=1e-5)
    assert [layer.gain_measured for layer in found.layers[:-1]] == pytest.approx(
        [norms[0] / norms[1], norms[1] / norms[2]], rel=1e-5
    )
    assert found.layers[-1].gain_measured is None
    weights = [double.layers[0].linear.weight, double.layers[1].linear.weight, double.head.weight]
    assert [layer.grad_norm for layer in found.layers] == pytest.approx(
        [w.grad.norm().item() for w in weights], rel=1e-5
    )


def test_the_network_stays_as_it_was():
    net = MLP(6, 3, depth=2, width=5, norm="batch")
    net.layers[0].norm.eval()
    F.cross_entropy(net(BATCH[0]), BATCH[1]).backward()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = [p.grad.clone() for p in net.parameters()]
    with torch.no_grad():  # whoever calls it
        preflight(net, BATCH, F.cross_entropy, torch.optim.Adam)
    assert net.training
    assert not net.layers[0].norm.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), gradients, strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_it_is_a_function_however_it_was_imported():
    import gradvitals.signal_propagation.preflight
    from gradvitals import preflight as again

    assert again is gradvitals.displayed_results.preflight


def test_frozen_and_unused_layers_and_tokens():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)
            self.frozen, self.unused = nn.Linear(4, 4).requires_grad_(False), nn.Linear(2, 2)

        def forward(self, x):
            return self.head(self.frozen(self.embedding(x)))

    found = preflight(Tokens(), (BATCH[1], BATCH[1]), F.cross_entropy)
    assert found.input_grad_norm is None
    rows = {layer.name: (layer.grad_norm is None, layer.activation_grad_norm is None) for layer in found.layers}
    assert rows == {
        "embedding": (False, False),
        "frozen": (True, False),
        "head": (False, False),
        "unused": (True, True),
    }


def test_random_numbers_and_everything_else_stay_as_they_were():
    net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    preflight(net, BATCH, F.cross_entropy, torch.optim.SGD)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_one_layer_by_hand():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Sigmoid(), nn.Linear(2, 1, bias=False))
    net[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, 10.0]]))
    net[2].weight.data.copy_(torch.tensor([[1.0, 1.0]]))
    x = torch.tensor([[0.0, 1.0], [0.0, -1.0]])  # h: (0, 10), (0, -10); a: (.5, 1), (.5, 0), saturated in unit 1
    found = preflight(net, (x, x[:, :1]), lambda out, y: out.mean(), lambda ps: torch.optim.SGD(ps, lr=0.1))
    first, last = found.layers
    assert first.activation_mean == pytest.approx(0.5)
    assert first.activation_std == pytest.approx(0.125**0.5, rel=1e-3)
    assert (first.dead_fraction, first.saturated_fraction) == (0.0, 0.5)
    slope = torch.tensor(10.0).sigmoid().item() * torch.tensor(-10.0).sigmoid().item()
    # dL/da = 1/2 each. dL/dh: .125 at h = 0, twice; half the slope at the ends, twice.
    assert first.activation_grad_norm == pytest.approx((2 * 0.125**2 + 2 * (slope / 2) ** 2) ** 0.5)
    assert first.gain_measured == pytest.approx(first.activation_grad_norm / 0.5**0.5)
    assert last.grad_norm == pytest.approx((0.5**2 + 0.5**2) ** 0.5, rel=1e-4)  # the mean activations
    # Rms over samples of |input|: of (.5, 1) and (.5, 0).
    assert last.grad_norm_corrected == pytest.approx(last.grad_norm / ((1.25 + 0.25) / 2) ** 0.5, rel=1e-4)
    assert last.update_ratio == pytest.approx(0.1 * last.grad_norm / 2**0.5, rel=1e-5)
    assert (last.activation_mean, last.dead_fraction, last.saturated_fraction) == (None, None, None)


def test_dead_units_of_a_batch():
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(net[0].bias, 10.0)
    net[0].bias.data[0] = -100.0
    first, last = preflight(net, BATCH, F.cross_entropy).layers
    assert (first.dead_fraction, first.saturated_fraction, last.dead_fraction) == (0.25, None, None)
    assert first.update_ratio is None


def test_all_weights_of_a_layer_count_together():
    class Last(nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0][:, -1]

    net = nn.Sequential(Last(3, 5, batch_first=True), nn.Linear(5, 3))
    x = BATCH[0].reshape(32, 2, 3)
    found = preflight(net, (x, BATCH[1]), F.cross_entropy, lambda ps: torch.optim.SGD(ps, lr=2.0))
    F.cross_entropy(net(x), BATCH[1]).backward()
    gradient = torch.cat([net[0].weight_ih_l0.grad.flatten(), net[0].weight_hh_l0.grad.flatten()]).norm().item()
    weight = torch.cat([net[0].weight_ih_l0.flatten(), net[0].weight_hh_l0.flatten()]).norm().item()
    assert found.layers[0].grad_norm == pytest.approx(gradient, rel=1e-5)
    assert found.layers[0].update_ratio == pytest.approx(2 * gradient / weight, rel=1e-5)
    assert found.layers[0].gain_predicted is None


def test_gradients_too_small_for_float32_squares():
    net = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))
    found = preflight(net, BATCH, lambda out, y: 1e-30 * out.mean())
    assert all(0 < layer.grad_norm < 1e-28 for layer in found.layers)


def test_the_first_step_of_adam_and_of_frozen_weights():
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    net[0].weight.requires_grad_(False)
    frozen, moved = preflight(net, BATCH, F.cross_entropy, lambda ps: torch.optim.Adam(ps, lr=1e-3)).layers
    assert frozen.update_ratio == 0.0
    assert frozen.grad_norm is None
    # Adam's first step is lr in each weight, whatever the gradient.
    assert moved.update_ratio == pytest.approx(1e-3 * 24**0.5 / net[2].weight.norm().item(), rel=1e-3)


def test_an_optimizer_whose_step_wants_the_loss_again():
    found = preflight(MLP(6, 3, depth=1), BATCH, F.cross_entropy, torch.optim.LBFGS)
    assert {layer.update_ratio for layer in found.layers} == {None}


def test_expected_losses():
    labels, numbers = torch.tensor([0, 1, 1]), torch.tensor([1.0, 2.0, 6.0])
    assert expected_loss(F.cross_entropy, torch.ones(3, 10), labels) == pytest.approx(math.log(10))
    binary = expected_loss(
        lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], y.float()), torch.ones(3, 1), labels
    )
    assert binary == pytest.approx(math.log(2))
    of_column = expected_loss(lambda out, y: F.mse_loss(out[:, 0], y), torch.ones(3, 1), numbers)
    assert of_column == pytest.approx((4 + 1 + 9) / 3)  # the variance, around the mean 3
    two = torch.stack([numbers, torch.full((3,), 5.0)], 1)
    assert expected_loss(F.mse_loss, torch.ones(3, 2), two) == pytest.approx((4 + 1 + 9) / 6)
    assert expected_loss(F.mse_loss, {"logits": two}, two) is None


def he(depth: int, seed: int = 0, **options) -> MLP:
    torch.manual_seed(seed)
    net = MLP(6, 3, depth=depth, **options)
    initialize(net, act={"name": options.get("act", "relu")}, name="he_normal")
    return net


def test_prediction_of_a_relu_net_is_half_of_what_its_weights_add():
    net = he(3, width=64)
    found = preflight(net, BATCH, F.cross_entropy)
    weights = [net.layers[1].linear.weight, net.layers[2].linear.weight, net.head.weight]
    by_hand = [(w[0].numel() * w.var(unbiased=False).item() / 2) ** 0.5 for w in weights]
    assert [layer.gain_predicted for layer in found.layers[:-1]] == pytest.approx(by_hand, rel=1e-4)
    assert found.layers[-1].gain_predicted is None
    assert found.layers[0].gain_scatter == pytest.approx((5 / 64) ** 0.5 / 2, rel=0.15)  # of the norm, not its square


@pytest.mark.parametrize(
    "options",
    [
        {"act": "sigmoid"},
        {"act": "tanh"},
        {"norm": "layer"},
        {"norm": "batch"},
        {"block": "residual"},
        {"block": "residual", "norm": "layer", "norm_position": "before_linear"},
    ],
    ids=str,
)
def test_measured_gains_scatter_around_the_predicted(options):
    x = torch.randn(32, 6, generator=torch.Generator().manual_seed(1))
    off = []
    for seed in range(3):
        found = preflight(he(8, seed, width=96, **options), (x, BATCH[1]), F.cross_entropy)
        known = [layer for layer in found.layers if layer.gain_predicted]
        assert len(known) >= 7
        off += [math.log(layer.gain_measured / layer.gain_predicted) / layer.gain_scatter for layer in known]
    assert abs(sum(off) / len(off)) < 1
    assert (sum(z**2 for z in off) / len(off)) ** 0.5 < 1.5


def test_no_prediction_where_there_is_no_theory():
    nets = [
        MLP(6, 3, depth=3, skip="concat"),
        MLP(6, 3, depth=3, width=8, block="rezero"),
        nn.Sequential(nn.Unflatten(1, (1, 6)), nn.ConvTranspose1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)),
    ]
    for net in nets:
        found = preflight(net, BATCH, F.cross_entropy)
        assert all(layer.gain_predicted is None and layer.gain_scatter is None for layer in found.layers)
        assert found.trainable_depth is None


def test_no_prediction_for_weights_that_are_no_draw_around_0():
    net = he(3, width=16)
    nn.init.uniform_(net.layers[2].linear.weight, 0, 0.1)
    assert [layer.gain_predicted is None for layer in preflight(net, BATCH, F.cross_entropy).layers] == [
        False,
        True,
        True,
        True,
    ]


def tanh_net(sigma_w2: float, sigma_b2: float, depth: int = 30) -> nn.Module:
    net = he(depth, width=64, act="tanh")
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=(sigma_w2 / module.in_features) ** 0.5)
            nn.init.normal_(module.bias, std=sigma_b2**0.5)
    return net


def test_trainable_depth_is_six_correlation_lengths():
    found = preflight(tanh_net(1.0, 0.05), BATCH, F.cross_entropy)
    assert found.trainable_depth == pytest.approx(21.8, rel=0.1)  # theory.md: xi_c = 3.63
    assert preflight(tanh_net(4.0, 0.05), BATCH, F.cross_entropy).trainable_depth == pytest.approx(41.9, rel=0.1)
    assert preflight(he(20), BATCH, F.cross_entropy).trainable_depth is None  # He's ReLU is critical
    assert preflight(he(20, act="gelu"), BATCH, F.cross_entropy).trainable_depth is None  # not settled by then


def test_trainable_depth_with_norms():
    found = preflight(he(6, norm="batch", width=256), BATCH, F.cross_entropy)
    assert found.trainable_depth == pytest.approx(16 / math.log(1.522), rel=0.05)  # Yang et al.: batches of 32
    for seed in range(5):
        assert preflight(he(3, seed, norm="layer"), BATCH, F.cross_entropy).trainable_depth is None  # critical


def layer(name: str, **values: float) -> LayerReading:
    unknown = {field.name: None for field in fields(LayerReading)}
    return LayerReading(**unknown | {"name": name, "index": 0, "kind": "Linear"} | values)


def reading(gain_measured, gain_predicted, gain_scatter=0.1):
    return layer("fc", gain_measured=gain_measured, gain_predicted=gain_predicted, gain_scatter=gain_scatter)


def test_surprises():
    assert reading(math.exp(0.25), 1.0).surprise == pytest.approx(2.5)
    assert reading(None, 1.0).surprise == reading(1.0, None, None).surprise == reading(0.0, 1.0).surprise == 0.0
    within, beyond, farther = reading(1.2, 1.0), reading(1.4, 1.0), reading(0.5, 1.0)
    for layers, expected in (([within], None), ([within, farther, beyond], farther), ([], None)):
        assert Preflight(layers, None, 0.0, None, None, profile([])).surprise is expected


def test_a_network_whose_numbers_overflow():
    net = he(12, act="exponential")
    found = preflight(net, BATCH, F.cross_entropy, torch.optim.SGD)
    assert found.profile.label == "non_finite"
    assert found.trainable_depth is None
    assert found.surprise is None


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e12, 1e30, float("nan")])
@pytest.mark.parametrize("act", [nn.ReLU, nn.SELU, nn.Tanh, nn.GELU])
def test_weights_of_any_size_end_no_preflight(size, act):
    """A drawn net ended its training here: the square of a slope's mean square did not fit a float."""
    net = nn.Sequential(*(m for _ in range(20) for m in (nn.Linear(8, 8), act())), nn.Linear(8, 3))
    for parameter in net.parameters():
        parameter.data.mul_(size)
    found = preflight(net, (torch.randn(16, 8), torch.arange(16) % 3), nn.functional.cross_entropy)
    assert len(found.layers) == 21
    assert found.verdict[0]


SILENT = layer("net.1", activation_mean=0.0, activation_std=0.0)
FLAT = layer("net.2", saturated_fraction=0.9)


@pytest.mark.parametrize(
    ("layers", "norms", "known", "verdict"),
    [
        ([SILENT], [1e-6, 1.0], {"faults": ["a", "b"], "symmetric": ["net.0"]}, ("bad_data", "a; b")),
        ([SILENT], [1e-6, 1.0], {"symmetric": ["net.0"]}, ("poor_init", "all units of net.0 have identical weights")),
        ([FLAT, SILENT], [1e-6, 1.0], {}, ("dead_units", "all outputs of net.1 are zero")),
        (
            [layer("net.0", saturated_fraction=0.8), FLAT],
            [1.0, 1.0],
            {},
            ("saturated", "90% of the outputs of net.2"),
        ),
        ([FLAT], [1e-6, 1.0], {}, ("vanishing", "layer 0 receives 1e-06 of layer 1's gradient")),
        ([layer("net.0")], [1.0, 1.0], {}, ("healthy", "layer 0 receives 1.0 times layer 1's gradient")),
        ([], [], {}, ("unknown", "fewer than two layers")),
    ],
)
def test_the_verdict_names_the_cause_before_its_symptoms(layers, norms, known, verdict):
    found = Preflight(layers, None, 1.0, None, None, profile(norms), **known)
    assert found.verdict[0] == verdict[0]
    assert found.verdict[1].startswith(verdict[1])
