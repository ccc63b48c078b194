"""Which modules are layers, what they are called, and in which order they come."""

import pytest
import torch
from torch import nn

from gradvitals.vitals import ForwardOrder, find_layers, is_layer, matches, weights


def names(network, *inputs, **options):
    order = ForwardOrder(network)
    network(*inputs)
    order.close()
    return [layer.name for layer in find_layers(network, order.modules, **options)]


def test_names_are_matched_exactly_or_with_their_dot():
    assert matches("fc1", ["fc1"])
    assert matches("fc1.0.proj", ["fc1"])
    assert not matches("fc10", ["fc1"])
    assert not matches("net.fc1", ["fc1"])
    assert matches("net.fc1", ["net.*"])
    assert matches("net.layer3.conv", ["net.layer*"])


def net():
    return nn.ModuleDict({"fc1": nn.Linear(2, 2), "fc10": nn.Linear(2, 2), "head": nn.Sequential(nn.Linear(2, 1))})


def test_include_and_exclude():
    assert [layer.name for layer in find_layers(net(), include=["fc1", "head"])] == ["fc1", "head.0"]
    assert [layer.name for layer in find_layers(net(), exclude=["fc1"])] == ["fc10", "head.0"]
    assert [layer.label for layer in find_layers(net(), include=["fc*"], exclude=["fc1"])] == ["00.fc10"]


@pytest.mark.parametrize("option", [{"include": ["fc2"]}, {"exclude": ["nosuch"]}])
def test_a_pattern_that_matches_nothing_is_told(option):
    with pytest.raises(ValueError, match=r"expected the dotted name of a layer .* such as .*got '(fc2|nosuch)'"):
        find_layers(net(), **option)


def test_norms_are_layers_where_they_are_asked_for():
    network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2))
    assert [layer.kind for layer in find_layers(network, norm_layers=True)] == ["Linear", "LayerNorm", "Linear"]


def test_attention_is_a_layer_and_its_projection_follows_it():
    network = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    found = names(network, torch.randn(2, 3, 8))
    assert found == ["self_attn", "self_attn.out_proj", "linear1", "linear2"]


def test_layers_that_are_never_called_come_last():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.used, self.also = nn.Linear(2, 2), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))

        def forward(self, x):
            return self.used(x)

    assert names(Branches(), torch.zeros(1, 2)) == ["used", "unused", "also.0"]


def test_tokens_and_tables_of_positions_are_no_weights():
    class Embeds(nn.Module):
        def __init__(self):
            super().__init__()
            self.class_token, self.pos_embedding = (
                nn.Parameter(torch.zeros(1, 1, 4)),
                nn.Parameter(torch.zeros(1, 5, 4)),
            )

    assert not is_layer(Embeds())


def test_weights_that_are_computed_from_others():
    spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4))
    assert weights(spectral) == (spectral.parametrizations.weight.original,)
    assert [layer.name for layer in find_layers(nn.Sequential(spectral))] == ["0"]
    weighted = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    assert [tuple(w.shape) for w in weights(weighted)] == [(4, 1), (4, 3)]


def test_recurrent_layers_have_several_weights():
    (layer,) = find_layers(nn.Sequential(nn.LSTM(3, 4, num_layers=2)))
    assert (layer.kind, len(layer.weights), layer.fan_in) == ("LSTM", 4, 3)


def test_a_lazy_layer_is_one_before_it_knows_its_shape():
    network = nn.Sequential(nn.LazyLinear(3))
    (layer,) = find_layers(network)
    assert layer.fan_in == 0
    network(torch.zeros(1, 5))
    assert find_layers(network)[0].fan_in == 5


def test_compiled_parts_have_their_own_names():
    network = nn.Sequential(nn.Linear(2, 2), torch.compile(nn.Sequential(nn.Linear(2, 1)), backend="eager"))
    assert [layer.name for layer in find_layers(network)] == ["0", "1.0"]
    assert [layer.name for layer in find_layers(nn.Sequential(torch.compile(nn.Linear(2, 1))))] == ["0"]


def test_a_layer_alone_holds_no_module():
    (layer,) = find_layers(nn.Sequential(nn.Linear(2, 1)))
    assert (layer.alone().module, layer.alone().weights) == (None, ())
    assert layer.alone() == layer
