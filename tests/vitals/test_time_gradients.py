"""The gradient by time step: by hand, and against plain autograd in float64 with cells unrolled by hand."""

from __future__ import annotations

import copy
import gc
from weakref import ref

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.checkpoint import checkpoint

from gradvitals.vitals import TimeGradients
from tests.vitals.unrolled import unrolled

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
STEPS, BATCH, INPUTS, WIDTH = 7, 3, 4, 5
EXACT = {"rtol": 1e-10, "atol": 0.0}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def sequences(steps: int = STEPS, batch: int = BATCH, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, steps, INPUTS, dtype=dtype)


def loss_of(outputs: Tensor, every_step: bool = False) -> Tensor:
    read = outputs if every_step else outputs[:, -1]
    return (read * torch.linspace(-1, 1, read.shape[-1], dtype=read.dtype)).sin().sum()


def norms_of(leaves: list[Tensor]) -> Tensor:
    return torch.stack([leaf.grad.norm() for leaf in leaves])


@pytest.mark.parametrize("needs", [False, True], ids=["of data", "of a layer"])
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 3, "bidirectional": True}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_autograd_of_a_network_unrolled_by_hand(kind, options, needs):
    layer, x = KINDS[kind](INPUTS, WIDTH, batch_first=True, **options).double(), sequences()
    outputs, leaves = unrolled(kind, layer, x)
    loss_of(outputs, "bidirectional" in options).backward()
    caught = TimeGradients([layer])
    found, _ = layer(x.clone().requires_grad_(needs))
    torch.testing.assert_close(found, outputs)
    layer.zero_grad()
    loss_of(found, "bidirectional" in options).backward()
    torch.testing.assert_close(caught.take()[layer].sqrt(), norms_of(leaves), **EXACT)
    caught.close()


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_that_is_called_once_per_step(kind):
    cell, x = CELLS[kind](INPUTS, WIDTH).double(), sequences()
    layer = KINDS[kind](INPUTS, WIDTH, batch_first=True).double()
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    outputs, leaves = unrolled(kind, layer, x)
    loss_of(outputs).backward()
    caught, state = TimeGradients([cell]), None
    for step in range(STEPS):
        state = cell(x[:, step], state)
    h = state[0] if kind == "lstm" else state
    loss_of(h.unsqueeze(1)).backward()
    torch.testing.assert_close(caught.take()[cell].sqrt(), norms_of(leaves), **EXACT)


def linear(weight: float) -> nn.RNN:
    """A recurrent layer of width 1 whose ReLU does nothing to positive numbers."""
    layer = nn.RNN(1, 1, nonlinearity="relu", bias=False, batch_first=True)
    layer.weight_hh_l0.data.fill_(weight)
    layer.weight_ih_l0.data.fill_(3.0)
    return layer


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_a_linear_layer_of_width_one_by_hand(weight):
    # dL/dx_t = 3 w^(T-t) for each of 4 samples, whose norm is twice that.
    layer = linear(weight)
    caught = TimeGradients([layer])
    layer(torch.ones(4, 6, 1))[0][:, -1].sum().backward()
    assert caught.take()[layer].sqrt().tolist() == pytest.approx([6 * weight**back for back in range(5, -1, -1)])


@pytest.mark.parametrize("shape", ["batch first", "steps first", "one sequence", "by name"])
def test_the_axis_of_time(shape):
    layer = linear(0.5)
    layer.batch_first = shape not in ("steps first", "one sequence")
    x = torch.ones({"steps first": (4, 2, 1), "one sequence": (4, 1)}.get(shape, (2, 4, 1)))
    caught = TimeGradients([layer])
    h = layer(input=x)[1] if shape == "by name" else layer(x)[1]
    h.sum().backward()
    samples = 1 if shape == "one sequence" else 2
    expected = [samples**0.5 * 3 * 0.5**back for back in (3, 2, 1, 0)]
    assert caught.take()[layer].sqrt().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("needs", [False, True], ids=["of data", "of a layer"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_batch_is_its_sequences_one_by_one_aligned_at_their_ends(kind, bidirectional, needs):
    layer = KINDS[kind](INPUTS, WIDTH, bidirectional=bidirectional).double()
    several = [torch.randn(steps, INPUTS, dtype=torch.float64).requires_grad_(needs) for steps in (3, 6, 1, 6, 4)]
    caught = TimeGradients([layer])
    layer(pack_sequence(several, enforce_sorted=False))[0].data.sin().sum().backward()
    found, alone = caught.take()[layer], torch.zeros(6, dtype=torch.float64)
    for x in several:
        layer.zero_grad()
        layer(x)[0].sin().sum().backward()
        alone[-len(x) :] += caught.take()[layer]
    torch.testing.assert_close(found, alone, **EXACT)


def test_sequences_of_two_lengths_by_hand():
    # dL/dx is 3 at the last step of each sequence and half as much at each step before: two sequences, then one.
    layer = linear(0.5)
    caught = TimeGradients([layer])
    _, h = layer(pack_sequence([torch.ones(2, 1), torch.ones(4, 1)], enforce_sorted=False))
    h.sum().backward()
    assert caught.take()[layer].tolist() == pytest.approx([9 / 64, 9 / 16, 2 * 9 / 4, 2 * 9])


@pytest.mark.parametrize("needs", [False, True], ids=["of data", "of a layer"])
@pytest.mark.parametrize("kind", [*KINDS.values(), nn.GRUCell])
def test_backward_passes_join_as_the_weights_gradient_does(kind, needs):
    layer, x = kind(INPUTS, WIDTH), sequences(dtype=torch.float32)
    caught = TimeGradients([layer])

    def backward(factor=1.0):
        given = x.clone().requires_grad_(needs)
        if isinstance(layer, nn.GRUCell):
            h = None
            for step in range(STEPS):
                h = layer(given[:, step] * 1, h)
        else:
            h = layer(given * 1)[0]
        (factor * h.sin().sum()).backward()

    backward()
    one = caught.take()[layer]
    backward(3.0)  # adds to the gradient that there is
    backward(4.0)
    torch.testing.assert_close(caught.take()[layer], 25 * one)
    backward(3.0)
    layer.zero_grad()  # of another optimizer's loss, as adversaries have
    backward(2.0)
    torch.testing.assert_close(caught.take()[layer], 4 * one)


def test_two_calls_in_one_pass_are_two_sequences_aligned_at_their_ends():
    layer = linear(0.5)
    caught = TimeGradients([layer])
    (layer(torch.ones(1, 2, 1))[1] + layer(torch.ones(1, 3, 1))[1]).sum().backward()
    assert caught.take()[layer].tolist() == pytest.approx([9 / 16, 2 * 9 / 4, 2 * 9])


def test_a_step_that_nothing_reads_has_no_gradient():
    layer = linear(0.5)
    caught = TimeGradients([layer])
    layer(torch.ones(1, 4, 1))[0][:, 1].sum().backward()
    assert caught.take()[layer].tolist() == [9 / 4, 9.0, 0.0, 0.0]


def test_a_cells_calls_of_steps_that_nothing_reads_count():
    cell, h = nn.RNNCell(1, 1, bias=False, nonlinearity="relu"), None
    cell.weight_hh.data.fill_(0.5), cell.weight_ih.data.fill_(3.0)
    caught, kept = TimeGradients([cell]), []
    for _ in range(3):
        h = cell(torch.ones(1, 1), h)
        kept.append(h)
    kept[1].sum().backward()
    assert caught.take()[cell].tolist() == [9 / 4, 9.0, 0.0]


def test_truncated_backpropagation_begins_a_sequence_with_each_part():
    cell, h = nn.RNNCell(INPUTS, WIDTH), torch.zeros(BATCH, WIDTH)
    caught = TimeGradients([cell])
    for _ in range(2):
        for step in range(3):
            h = cell(sequences(dtype=torch.float32)[:, step], h)
        h.sum().backward()
        h = h.detach()
    assert len(caught.take()[cell]) == 3


@pytest.mark.parametrize("kind", CELLS)
def test_a_checkpointed_cell(kind):
    cell, x = CELLS[kind](INPUTS, WIDTH).double(), sequences()
    caught = TimeGradients([cell])

    def found(call):
        state = None
        for step in range(STEPS):
            state = call(x[:, step], state)
        loss_of((state[0] if kind == "lstm" else state).unsqueeze(1)).backward()
        cell.zero_grad()
        return caught.take()[cell]

    plain = found(cell)
    again = found(lambda *given: checkpoint(cell, *given, use_reentrant=False))
    torch.testing.assert_close(again, plain, **EXACT)


@pytest.mark.parametrize("needs", [False, True], ids=["of data", "of a layer"])
@pytest.mark.parametrize("kind", [*KINDS.values(), *CELLS.values()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_training_is_the_same_bit_for_bit(kind, needs, dtype):
    net = nn.ModuleDict({"below": nn.Linear(INPUTS, INPUTS), "layer": kind(INPUTS, WIDTH)}).to(dtype)
    x = sequences(dtype=dtype)

    def gradients(net, watched):
        caught = TimeGradients([net["layer"]]) if watched else None
        given = net["below"](x) if needs else x
        if isinstance(net["layer"], nn.RNNCellBase):
            state = None
            for step in range(STEPS):
                state = net["layer"](given[:, step], state)
            h = state[0] if isinstance(state, tuple) else state
        else:
            h = net["layer"](given)[0]
        loss = h.sin().sum()
        loss.backward()
        if caught:
            assert len(caught.take()[net["layer"]]) > 1
            caught.close()
        return [loss, *(weight.grad for weight in net.parameters() if weight.grad is not None)]

    pairs = zip(gradients(copy.deepcopy(net), False), gradients(net, True), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert x.grad is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_nothing_is_kept_but_numbers():
    layer, kept = nn.LSTM(INPUTS, WIDTH), []
    caught = TimeGradients([layer])
    look = layer.register_forward_hook(lambda _, given, __: kept.append(ref(given[0])))
    loss = layer(sequences(dtype=torch.float32))[0].sum()
    loss.backward()
    del loss
    gc.collect()
    assert kept[0]() is None
    assert caught.take()[layer].shape == (BATCH,)
    look.remove()


def test_a_frozen_layer_under_data_stays_without_a_graph():
    layer = nn.GRU(INPUTS, WIDTH).eval().requires_grad_(False)
    caught = TimeGradients([layer])
    assert not layer(sequences(dtype=torch.float32))[0].requires_grad
    assert caught.take() == {}


def test_a_frozen_layer_passes_on_the_gradient():
    layer = linear(0.5).requires_grad_(False)
    caught = TimeGradients([layer])
    layer(torch.ones(1, 3, 1, requires_grad=True))[1].sum().backward()
    assert caught.take()[layer].tolist() == [9 / 16, 9 / 4, 9.0]


def test_passes_without_gradients_and_gradient_penalties_do_not_count():
    layer, x = linear(0.5), torch.ones(1, 3, 1)
    caught = TimeGradients([layer])
    with torch.no_grad():
        layer(x)
    h = layer(x)[1].sum()
    torch.autograd.grad(h, layer.weight_hh_l0, create_graph=True)
    assert caught.take() == {}


def test_other_modules_have_no_hooks():
    net = nn.Sequential(nn.Linear(2, 2), nn.Embedding(2, 2))
    TimeGradients(net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
