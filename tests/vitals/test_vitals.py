import pytest
import torch
from torch import nn

from gradvitals.nets.mlp import MLP
from gradvitals.vitals import ForwardOrder, InputGradient, find_layers, norms, total


def test_norms_by_hand():
    # (9 + 16)^(1/2) = 5, (1 + 4 + 4)^(1/2) = 3; together (25 + 9)^(1/2).
    values = norms([torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 2.0], [2.0, 0.0]])])
    assert values.tolist() == [5.0, 3.0]
    assert total(values).item() == pytest.approx(34**0.5)


def test_norms_of_nothing():
    assert norms([]).shape == (0,)


def test_layers_have_weights_of_two_axes_and_are_no_norms():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU(), nn.Embedding(5, 3), nn.LayerNorm((3, 3)))
    assert [(layer.kind, layer.fan_in) for layer in find_layers(net)] == [("Conv2d", 9), ("Embedding", 3)]


def test_labels_sort_by_depth():
    labels = [layer.label for layer in find_layers(nn.Sequential(*[nn.Linear(2, 2) for _ in range(120)]))]
    assert labels == sorted(labels)
    assert labels[7] == "007.7"


def test_order_is_that_of_the_forward_pass():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(2, 2), nn.Linear(2, 2)
            self.never = nn.Linear(2, 2)

        def forward(self, x):
            return self.last(self.first(x))

    net = Backwards()
    order = ForwardOrder(net)
    net(torch.zeros(1, 2))
    order.close()
    assert [layer.label for layer in find_layers(net, order.modules)] == ["00.first", "01.last", "02.never"]
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_input_gradient_equals_autograd():
    net, x = MLP(6, 3, norm="batch"), torch.randn(8, 6)
    leaf = x.clone().requires_grad_()
    net(leaf).square().sum().backward()
    caught = InputGradient(*net.modules())
    net(x).square().sum().backward()
    torch.testing.assert_close(caught.take()[0], leaf.grad)
    assert caught.entry is net
    caught.close()
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_input_gradient_of_each_call():
    net = nn.Linear(2, 1, bias=False)
    caught = InputGradient(net)
    for factor in (1.0, 2.0):
        (factor * net(torch.ones(1, 2))).sum().backward()
    torch.testing.assert_close(caught.take()[1], 2 * net.weight.detach())
    caught.close()


def test_input_that_is_not_floating_has_no_gradient():
    net = nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 1))
    caught = InputGradient(net)
    net(torch.tensor([1, 2])).sum().backward()
    assert caught.take() == []
    caught.close()


def test_a_network_that_works_in_place_still_may():
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 1))
    caught = InputGradient(net)
    net(torch.ones(1, 2)).sum().backward()
    assert len(caught.take()) == 1
    caught.close()


def test_gradients_still_flow_to_what_made_the_input():
    # An embedding's output is no input: cutting the graph there would stop the embedding's training.
    net = nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 1))
    caught = InputGradient(net[1])
    net(torch.tensor([1, 2])).sum().backward()
    assert net[0].weight.grad.abs().sum() > 0
    assert caught.take() == []
    caught.close()
