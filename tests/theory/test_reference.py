"""Every entry of tests/reference/theory.json, by id: a new entry without a check fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import pytest
import torch
from torch import nn

from gradvitals.activations import activation
from gradvitals.clipping import clip_adaptive_, percentile_threshold
from gradvitals.diagnosis.profile import profile
from gradvitals.nets.init import lsuv_
from gradvitals.nets.mlp import MLP
from gradvitals.theory import (
    batchnorm_gain,
    batchnorm_trainable_depth,
    born_dead,
    chi,
    correlation_depth,
    correlation_map,
    critical_sigma_w2,
    dense_growth,
    edge_of_chaos,
    fixed_point,
    gain,
    layernorm_gain,
    lsuv_sigma_w2,
    mean,
    relu_log_moments,
    residual_growth,
    second_moment,
    settled_correlation,
    trainable_depth,
    trajectory,
    variance_map,
    weight_gain,
)
from gradvitals.vitals import NoiseScale, norm, norms
from tests.theory.practical import measured, sigmas
from tests.theory.reference import REFERENCE, act_of, check, compare, ids
from tests.theory.simulate import cross_entropy, draw_, geometric_mean, mlp, squares

CHECKS: dict[str, Callable[[str], None]] = {}
SLOW = {"selu.sim", "sigmoid.sat", "coherence", "lsuv.relu", "lsuv.gelu"}
DATA = {"sigmoid.sat"}
MARKS = dict.fromkeys(SLOW, pytest.mark.slow)
EXACT = 1e-6  # relative: theory against theory, far tighter than an entry's tolerance, which is that of one net


def shows(*names: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """Register a function, given the id, as what shows these entries."""

    def register(function: Callable[[str], None]) -> Callable[[str], None]:
        CHECKS.update(dict.fromkeys(names, function))
        return function

    return register


def settings(name: str) -> dict:
    return REFERENCE[name]["setting"]


def test_every_entry_is_shown():
    assert set(CHECKS) == set(REFERENCE)


@pytest.mark.parametrize("name", [pytest.param(n, marks=MARKS.get(n, ())) for n in REFERENCE])
def test_entry(name, request):
    if name in DATA:
        request.getfixturevalue("data_root")
    CHECKS[name](name)


# Mean field


@shows(*ids("chi1."))
def _(name):
    s = settings(name)
    check(
        name, gain(act_of(s["act"]), s["sigma_w2"], s["sigma_b2"], s["q1"], s["depth"]), 1e-5
    )  # hardtanh: the reference is right to 2e-6


@shows(*ids("fp."))
def _(name):
    s = settings(name)
    q, factor = fixed_point(s["act"], s["sigma_w2"], s["sigma_b2"])
    check(name, {"qstar": q, "chi1": factor}, EXACT)


@shows("crit.relu")
def _(name):
    for q in (1e-6, 1.0, 1e6):
        check(name, {f"sw2={word}": chi("relu", q, value) for word, value in {"1/3": 1 / 3, "1": 1, "2": 2}.items()})
    assert critical_sigma_w2("relu") == pytest.approx(2.0, abs=1e-9)


@shows("crit.leaky")
def _(name):
    s = settings(name)
    act = activation("leaky_relu", negative_slope=s["a"])()
    check(name, chi(act, 3.0, s["sw2"]))
    assert critical_sigma_w2(act) == pytest.approx(2 / (1 + s["a"] ** 2), abs=1e-9)


@shows("crit.erf")
def _(name):
    s = settings(name)
    check(name, {"Ephi2": second_moment("erf", s["q"]), "chi1": chi("erf", s["q"], s["sw2"])})
    assert critical_sigma_w2("erf") == pytest.approx(math.pi / 4, rel=1e-5)


@shows("crit.tanh.sb05")
def _(name):
    check(name, critical_sigma_w2("tanh", settings(name)["sigma_b2"]), EXACT)


@shows("crit.gelu")
def _(name):
    k = REFERENCE[name]["value"]["Kstar"]
    sigma_w2, sigma_b2 = edge_of_chaos("gelu", k)
    check(name, {"C_W": sigma_w2, "C_b": sigma_b2, "Kstar": variance_map("gelu", k, sigma_w2, sigma_b2)})
    around = [variance_map("gelu", k + step, sigma_w2, sigma_b2) for step in (-1e-3, 1e-3)]
    assert (around[1] - around[0]) / 2e-3 == pytest.approx(1.0, abs=1e-6)  # half stable: q as well is at criticality


@shows(*ids("xi."))
def _(name):
    sigmas = settings(name)["sigma_w2"], settings(name)["sigma_b2"]
    xi_c, xi_grad = correlation_depth("tanh", *sigmas)
    found = {"xi_c": xi_c, "six_xi_c": trainable_depth("tanh", *sigmas), "xi_grad": xi_grad}
    check(name, {**found, "c_star": settled_correlation("tanh", *sigmas)}, EXACT)


@shows("corr.relu")
def _(name):
    c, found = 0.0, {}
    for layer in range(1, 21):
        c = correlation_map("relu", c, 2.0, q=1.0)
        found[str(layer)] = c
    check(name, {key: found[key] for key in REFERENCE[name]["value"]}, EXACT)


@shows("tanh.powerlaw")
def _(name):
    q = trajectory("tanh", 1.0, depth=20)[-1]
    check(name, q, EXACT)
    compare(1 / 40, q, REFERENCE[name]["tolerance"] | {"rel": 0.1})  # 1 / (2 l), with its logarithmic correction
    widths = settings(name)["width"]
    torch.manual_seed(0)
    net, seen = MLP(widths, 10, depth=20, width=widths, act="tanh"), []
    draw_(net, 1.0)
    net.layers[-1].linear.register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(torch.randn(64, widths))
    check(name, seen[0].square().mean().item())


# Practical nets: torch's initialisers, cross-entropy. What torch measures is compared in test_practical.py.


@cache
def practical_gains(act: str, sigma_w2: float, sigma_b2: float) -> tuple[float, float]:
    """Per layer, of the norm of dL/dh and of dL/dW; 20 layers, inputs of mean square 1."""
    net = (act_of(act), sigma_w2, sigma_b2, sigma_w2 + sigma_b2)
    return gain(*net) ** 0.5, weight_gain(*net) ** 0.5


@shows(*ids("practical."))
def _(name):
    s = settings(name)
    assert s["depth"] == 20
    delta, w = practical_gains(s["act"], *sigmas(s["init"], s["width"]))
    decades = {f"log10_{key}_first_last": 19 * math.log10(value) for key, value in {"delta": delta, "w": w}.items()}
    check(name, {"delta": delta, "w": w, **decades}, EXACT)


@shows("verdict.labels")
def _(name):
    words = {"vanishing": {"vanishing"}, "stable": {"healthy"}, "exploding": {"exploding"}}
    for net, label in REFERENCE[name]["value"].items():
        act, init = net.split("/")
        ratio = practical_gains(act, *sigmas(init, 256))[0]
        found = profile([ratio ** (20 - layer) for layer in range(1, 21)])
        assert found.gain == pytest.approx(ratio)
        assert found.label in words.get(label, {"healthy", "vanishing", "exploding"}), net


@shows("flat.gb14")
def _(name):
    value, tolerance = REFERENCE[name]["value"], REFERENCE[name]["tolerance"]
    assert gain("relu", 1.0) ** 0.5 == pytest.approx(value["delta_ratio_per_layer"], rel=EXACT)
    assert weight_gain("relu", 1.0) ** 0.5 == pytest.approx(value["w_ratio_per_layer"], rel=EXACT)
    found = measured("relu", "lecun_normal", seeds=range(5))
    assert found["delta"] == pytest.approx(value["delta_ratio_per_layer"], rel=tolerance["delta_rel"])
    assert found["w"] == pytest.approx(value["w_ratio_per_layer"], rel=tolerance["w_rel"])


@shows("coherence")
def _(name):
    one, many = measured("relu", "kaiming_normal", range(30), batch=1), measured("relu", "kaiming_normal", range(12))
    check(name, {"B1_norm_ratio": one["w"], "B64_norm_ratio": many["w"], "B64_incoherent_rms": many["w_per_sample"]})


@shows("euler")
def _(name):
    for act in ("relu", "leaky_relu"):
        net = MLP(32, 10, depth=settings(name)["layers"] - 1, width=32, act=act, bias=False).double()
        draw_(net, 2.0, 0.0)
        net.head.bias.data.zero_()
        cross_entropy(net(torch.randn(16, 32, dtype=torch.float64))).backward()
        weights = [p for p in net.parameters() if p.ndim == 2]
        products = [(w * w.grad).sum().item() for w in weights]
        assert abs(products[0]) > 1e-3
        check(name, max(products) - min(products))


@shows("scale.c")
def _(name):
    depth, c = settings(name)["L"], settings(name)["c"]
    net = MLP(8, 1, depth=depth - 1, width=8, bias=False).double()
    net.head.bias.data.zero_()
    weights, x = [p for p in net.parameters() if p.ndim == 2], torch.randn(4, 8, dtype=torch.float64)

    def sizes(x):
        return norms(torch.autograd.grad(net(x).sum(), weights))

    before, larger_input = sizes(x), sizes(3 * x)
    torch._foreach_mul_([w.data for w in weights], c)
    for ratio in (sizes(x) / before).tolist():
        check(name, ratio)
    torch.testing.assert_close(larger_input, 3 * before)


# Normalisation


@shows(*ids("bn.relu.B", "bn.linear.B"))
def _(name):
    act = "relu" if "relu" in name else "identity"
    check(name, batchnorm_gain(act, settings(name)["batch"]), EXACT)


@shows("bn.relu.inf")
def _(name):
    check(name, {"squared": batchnorm_gain("relu"), "norm": batchnorm_gain("relu") ** 0.5}, EXACT)
    assert batchnorm_gain("relu", 10**7) == pytest.approx(batchnorm_gain("relu"), rel=1e-6)


@shows(*(name for name in ids("bn.") if name.endswith("largeB")))
def _(name):
    check(name, batchnorm_gain(settings(name)["act"]), EXACT)


@shows(*ids("ln.pre.", "ln.post."))
def _(name):
    s = settings(name)
    position = name.split(".")[1]
    check(name, layernorm_gain(act_of(s["act"]), position, s.get("sigma_w2", 2.0)), EXACT)


@shows(*ids("bn.torch.", "ln.torch."))
def _(name):
    norm_name, _, act, *position = name.split(".")
    s = settings(name)
    kind = {"bn": "batch", "ln": "layer"}[norm_name]
    if kind == "batch":
        # Of bent activations theory has the rate of large batches.
        theory = batchnorm_gain(act, s["batch"] if act == "relu" else None)
    else:
        theory = layernorm_gain(act, position[0])
    check(name, theory**0.5, 1e-5)  # the reference has BatchNorm's eps in it
    build = mlp(
        s["depth"], s["width"], act=act, norm=kind, norm_position="after_act" if "post" in name else "before_act"
    )
    ratios = []
    for seed in range(s["seeds"]):
        torch.manual_seed(seed)
        net = build()
        draw_(net, 2.0)
        cross_entropy(net(torch.randn(s["batch"], s["width"]))).backward()
        sizes = norms([layer.linear.weight.grad for layer in net.layers])[4:19]  # layers 5 to 19
        ratios.append(-sizes.log().diff())
    check(name, geometric_mean(torch.stack(ratios)))


@shows("bn.fm.slope")
def _(name):
    check(name, batchnorm_gain("relu", 128) ** 0.5, EXACT)  # on real data: test_real_data.py


@shows("bn.depthlimit")
def _(name):
    depth = batchnorm_trainable_depth("relu", settings(name)["B"])
    check(name, {"xi": depth / 16, "16xi": depth}, EXACT)


@shows("bn.bias0")
def _(name):
    net = MLP(16, 4, norm="batch", bias=True).double()
    cross_entropy(net(torch.randn(32, 16, dtype=torch.float64))).backward()
    check(name, max(layer.linear.bias.grad.abs().max().item() for layer in net.layers))
    assert net.head.bias.grad.abs().max() > 1e-3


# Shortcuts


@shows("res.preact1", "res.preact2")
def _(name):
    s = settings(name)
    for factor in residual_growth("relu", s["blocks"], linears=int(name[-1])):
        check(name, factor, EXACT)


@shows("res.tanh16", "res.preln", "res.prebn20")
def _(name):
    net = {
        "res.tanh16": {"act": "tanh", "blocks": 16, "sigma_w2": 1.0},
        "res.preln": {"act": "relu", "blocks": 32, "norm": "layer"},
        "res.prebn20": {"act": "relu", "blocks": 20, "norm": "batch"},
    }[name]
    check(name, math.prod(residual_growth(**net)), 1e-5)  # given to five digits


@shows("rezero")
def _(name):
    net, seen = MLP(32, 10, depth=settings(name)["blocks"], width=32, block="rezero"), []
    for layer in net.layers:
        layer.register_full_backward_hook(lambda module, before, after: seen.append(after[0]))
    cross_entropy(net(torch.randn(8, 32).requires_grad_())).backward()
    ratios = {(norm(gradient) / norm(seen[0])).item() for gradient in seen}
    assert len(seen) == settings(name)["blocks"]
    branches = {layer.branch.linear.weight.grad.abs().max().item() for layer in net.layers}
    for ratio in ratios:
        for branch in branches:
            check(name, {"ratio": ratio, "branch_grad": branch})
    assert all(layer.alpha.grad != 0 for layer in net.layers)
    assert residual_growth("relu", 3, alpha=0.0) == [1.0] * 3


@shows(*ids("dense."))
def _(name):
    s = settings(name)
    assert dense_growth("relu", s["n0"], s["growth"], s["L"]) == pytest.approx([1.0] * s["L"])
    totals = []
    for seed in range(8):
        torch.manual_seed(seed)
        net = MLP(s["n0"], s["growth"], depth=s["L"], width=s["growth"], skip="concat", head=False)
        draw_(net, 2.0)
        x = torch.randn(16, s["n0"]).requires_grad_()
        tensors = [x]
        for layer in net.layers:
            tensors.append(layer(net._gather(tensors)))
        whole = net._gather(tensors)
        gradient = torch.randn_like(whole)
        whole.backward(gradient)
        totals.append(x.grad.square().sum() / gradient.square().sum())
    check(name, torch.stack(totals).mean().item())


@shows("lsuv.relu", "lsuv.gelu")
def _(name):
    s = settings(name)
    sigma_w2 = lsuv_sigma_w2(s["act"])
    assert chi(s["act"], 1.0, sigma_w2) == pytest.approx(layernorm_gain(s["act"]))
    check(name, {"sigma_w2": sigma_w2, "chi": chi(s["act"], 1.0, sigma_w2)}, EXACT)
    sizes, ratios = [], []
    for seed in range(s["seeds"]):
        torch.manual_seed(seed)
        net = mlp(s["depth"], s["width"], act=s["act"])()
        x = torch.randn(s["batch"], s["width"])
        lsuv_(net, x)
        sizes.append(torch.stack([layer.linear.weight.detach().var() * s["width"] for layer in net.layers][1:]))
        ratios.append(-squares(net, x, lambda out: (out * torch.randn_like(out)).sum())[0][: s["depth"]].log().diff())
    check(name, {"sigma_w2": geometric_mean(torch.stack(sizes).log()), "chi": geometric_mean(torch.stack(ratios))})


# SELU, dead units, finite width


@shows("selu.fp")
def _(name):
    check(name, {"mean": mean("selu"), "second_moment": second_moment("selu")})


@shows("selu.chi")
def _(name):
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    check(name, chi("selu", 1.0, 1.0), EXACT)
    check(name, scale**2 * (0.5 + alpha**2 * math.e**2 * NormalDist().cdf(-2)), EXACT)


@shows("selu.sim")
def _(name):
    s = settings(name)
    h = torch.randn(s["batch"], s["width"])
    for _ in range(s["depth"]):
        h = nn.functional.selu(h @ torch.randn(s["width"], s["width"]) / s["width"] ** 0.5)
    check(name, {"mean": h.mean().item(), "var": h.var().item()})


def activations(width: int, depth: int, nets: int, x: torch.Tensor) -> torch.Tensor:
    """Of many He-ReLU nets at once the smallest layer's sum of activations: ``(nets, points)``; x ``(points, inputs)``."""
    a, smallest = x.T.expand(nets, *x.T.shape), torch.full((nets, len(x)), math.inf)
    for _ in range(depth):
        a = (torch.randn(nets, width, a.shape[1]) @ a).relu() * (2 / a.shape[1]) ** 0.5
        smallest = torch.minimum(smallest, a.sum(1))
    return smallest


@shows(*ids("dead."))
def _(name):
    s = settings(name)
    check(name, born_dead(s["width"], s["hidden_layers"]), EXACT)
    found = activations(s["width"], s["hidden_layers"], s["nets"], torch.randn(1, s["width"]))
    check(name, (found == 0).float().mean().item())


@shows(*ids("borndead."))
def _(name):
    s = settings(name)
    found = activations(s["width"], s["hidden_layers"], s["nets"], torch.linspace(-1, 1, 20)[:, None])
    constant = (found == 0).all(1).float().mean().item()
    check(name, constant)
    assert constant < born_dead(s["width"], s["hidden_layers"])  # one input's probability is an upper bound


@shows(*ids("logmom."))
def _(name):
    mean, variance = relu_log_moments(settings(name)["width"])
    check(name, {"mean": mean, "var": variance})


# Sigmoid


@shows("sigmoid.bound")
def _(name):
    z = torch.linspace(-20, 20, 4001, dtype=torch.float64).requires_grad_()
    torch.sigmoid(z).sum().backward()
    check(name, z.grad.max().item())
    net = mlp(10, 64, act="sigmoid")().double()
    sizes = squares(net, torch.randn(1, 64, dtype=torch.float64), cross_entropy)[0].sqrt()
    weights = [*(layer.linear.weight for layer in net.layers), net.head.weight]
    for below, above, weight in zip(sizes, sizes[1:], weights[1:], strict=False):
        assert below <= 0.25 * torch.linalg.matrix_norm(weight, 2) * above


@shows("sigmoid.sat")
def _(name):
    from tests.theory.real_data import top_activation_of_sigmoids

    check(name, top_activation_of_sigmoids({"step0": 0, "step400": 400, "step1499": 1499}))


# Clipping, statistics, numerics: by the project's own functions


def parameter(weight, gradient) -> nn.Parameter:
    found = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    found.grad = torch.tensor(gradient, dtype=torch.float64)
    return found


@shows("clip.torch", "clip.torch.nonfinite")
def _(name):
    s = settings(name)
    g = [float(value) for value in s["g"]]
    p = parameter(g, g)
    returned = nn.utils.clip_grad_norm_([p], s["max_norm"])
    if name == "clip.torch":
        check(name, {"returned": returned.item(), "after": p.grad.norm().item()})
    else:
        check(name, p.grad.tolist())
        assert returned == math.inf


@shows("clip.agc")
def _(name):
    s = settings(name)
    p = parameter([[float(w) for w in row] for row in s["W"]], s["G"])
    clip_adaptive_([p], s["lambda"], s["eps"])
    check(name, p.grad.tolist())


@shows("clip.autoclip")
def _(name):
    check(name, percentile_threshold([float(value) for value in range(1, 101)], settings(name)["p"]))


@shows("gns.unbiased")
def _(name):
    value = REFERENCE[name]["value"]
    true = torch.randn(200, dtype=torch.float64)
    true *= value["G2"] ** 0.5 / true.norm()
    scale, samples = NoiseScale(keep=0.9999), 256
    for _ in range(4000):
        pair = true + torch.randn(2, 200, dtype=torch.float64) * (value["S"] / 200 / samples) ** 0.5
        scale.add([pair[0]], [pair[1]], samples)
    weight = 1 - 0.9999**4000
    check(name, {"G2": scale.signal / weight, "S": scale.noise / weight, "B_simple": scale.value})


@shows("upd.ratio")
def _(name):
    layer = nn.Linear(64, 64)  # Adam's own step size suits a layer under He's initialisation
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    before = layer.weight.detach().clone()
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.randn(8, 64)).square().sum().backward()
    optimizer.step()
    check(name, (norm(layer.weight - before) / norm(before)).item())


@shows("ce.init")
def _(name):
    s = settings(name)
    logits = torch.zeros(s["B"], s["C"], dtype=torch.float64).requires_grad_()
    loss = nn.functional.cross_entropy(logits, torch.arange(s["B"]) % s["C"])
    loss.backward()
    check(name, {"loss": loss.item(), "grad": norm(logits.grad).item()})


@shows("num.underflow")
def _(name):
    s = settings(name)
    tensor = torch.full((s["n"],), s["entry"])
    value = REFERENCE[name]["value"]
    assert tensor.norm().item() == value["norm_f32"]
    assert norm(tensor).item() == pytest.approx(value["norm_f64"], rel=1e-6)  # the entry itself is rounded to float32


@shows("num.sigmoid40")
def _(name):
    torch.manual_seed(settings(name)["seed"])
    net = MLP(64, 10, depth=40, width=64, act="sigmoid")
    cross_entropy(net(torch.randn(settings(name)["batch"], 64))).backward()
    gradient = net.layers[0].linear.weight.grad
    check(name, {"layer1_f32": gradient.norm().item(), "layer1_f64": norm(gradient).item()})
