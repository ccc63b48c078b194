"""Each remedy says for which families of nets it is."""

import pytest

from gradvitals.diagnosis.remedies import CNN, FOR, MLP, RECURRENT, Net, prescribe

OF_ONE_FAMILY = {  # what the models of the other families do not know
    MLP: ("model=bn", "model=prenorm", "model.input_norm=batch"),
    RECURRENT: ("model.recurrent_init=", "model.forget_bias=", "model=gru", "model=lstm"),
    CNN: ("init=delta_orthogonal", "model.norm=", "model.residual="),
}
PLAIN = Net("rnn", "tanh", family=RECURRENT, recurrent_init="gaussian")
LSTM = Net("lstm", "tanh", family=RECURRENT, cell="lstm")


def prescribed(verdict, net):
    return [" ".join(remedy.overrides) for remedy in prescribe(verdict, net)]


@pytest.mark.parametrize("net", [Net(), PLAIN, LSTM, Net("cnn", family=CNN)], ids=lambda net: net.model)
def test_no_net_is_prescribed_what_is_of_another_family(net):
    words = [word for verdict in FOR for remedy in prescribe(verdict, net) for word in remedy.overrides]
    foreign = [start for family, starts in OF_ONE_FAMILY.items() if family != net.family for start in starts]
    assert not [word for word in words if word.startswith(tuple(foreign))]
    assert [word for word in words if word.startswith(OF_ONE_FAMILY[net.family])]


def test_a_plain_recurrent_net_gets_other_recurrent_weights_then_gates_then_all_together():
    assert prescribed("vanishing", PLAIN) == [
        "model.recurrent_init=orthogonal",
        "model.recurrent_init=identity act=relu",
        "model=gru model.recurrent_init=orthogonal",
        "model=lstm model.forget_bias=1",
        "model=gru model.recurrent_init=orthogonal clip=norm clip.val=1 optimizer=adam optimizer.lr=0.01",
    ]


def test_an_lstm_opens_its_forget_gates():
    assert prescribed("vanishing", LSTM)[:2] == ["model.recurrent_init=orthogonal", "model.forget_bias=1"]
    assert "model=gru" not in " ".join(prescribed("vanishing", LSTM))


def test_what_a_recurrent_net_has_is_not_prescribed_again():
    had = Net("lstm", "tanh", family=RECURRENT, cell="lstm", recurrent_init="orthogonal", forget_bias=1.0)
    assert prescribed("vanishing", had) == ["clip=norm clip.val=1 optimizer=adam optimizer.lr=0.01"]


def test_what_explodes_over_time_is_clipped():
    assert "clip=norm clip.val=1" in prescribed("exploding", PLAIN)
    assert "model.recurrent_init=orthogonal clip=norm clip.val=1" in prescribed("exploding", PLAIN)


def test_a_convolutional_net_gets_weights_then_norm_then_shortcuts():
    found = prescribed("vanishing", Net("cnn", "tanh", "he_normal", family=CNN))
    assert found[:2] == ["init=auto", "act=tanh init=delta_orthogonal"]
    assert found.index("model.norm=batch") < found.index("model.residual=true")
    residual = Net("cnn", "tanh", "delta_orthogonal", family=CNN, norm="batch", residual=True)
    assert "model" not in " ".join(prescribed("vanishing", residual))
