"""Programs of practitioners with a published fault, in PyTorch: faulty and fixed, and controls without a fault.

Ids are those of the questions on Stack Overflow and of the repositories. Data that is not public has a stand-in
of the same shape and scale (``data.py``), with fewer rows; epochs are fewer where a training would take long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from like_keras import LSTM, bce, class_hinge, class_mse, dense, mae, mlp, mse, nll
from plan import Plan, adam, binary, classes, explained, rmsprop, sgd
from torch import Tensor, nn

import data
from data import Split

SLOW = frozenset({"stalled", "slow"})


@dataclass(frozen=True)
class Case:
    """A program twice.

    Attributes:
        name: its id.
        fault: what is wrong, in words.
        causes: the verdicts that name it, from the published fault and fix.
        faulty, fixed: both versions.
    """

    name: str
    fault: str
    causes: frozenset[str]
    faulty: Plan
    fixed: Plan


@dataclass(frozen=True)
class Control:
    """A program without a fault; where there is nothing to learn, ``not_learning`` is no alarm."""

    name: str
    plan: Plan
    noise: bool = False


def _softmax() -> nn.Module:
    return nn.Softmax(1)


def _multilabel_net(last: type[nn.Module]) -> nn.Module:
    return mlp([20, 20, 20, 3], nn.ReLU, last() if last is nn.Sigmoid else nn.Softmax(1), dropout=0.5)


def _words_to_bits(targets_shuffled: bool) -> Split:
    words = torch.tensor([[n >> bit & 1 for bit in range(8)] for n in range(256)], dtype=torch.float32)
    return Split((words, words[torch.randperm(256)] if targets_shuffled else words), (words, words))


def _adult() -> Split:
    scales = [40, 4, 2e5, 10, 10, 3, 6, 1, 4, 0.7, 1000, 90, 40, 36]
    return data.table(8000, [float(scale) for scale in scales])


def _small_table(rows: int) -> Split:
    return data.table(rows, [300.0, 50.0, 2000.0], test=200)


def _packets() -> Split:
    return data.table(20, [6.0, 60.0, 1500.0, 17.0, 50000.0, 443.0, 64.0, 3e4, 1.0, 2.0, 900.0], test=200)


def _one_feature(scaled: bool) -> Split:
    x = torch.rand(1500, 1) * 24985 + 15
    y = (x[:, 0] + 1500 * torch.randn(1500) > 12500).float()
    rows = data.split(x, y)
    return data.standardized(rows) if scaled else rows


def _both_signs() -> Split:
    x = torch.randn(1500, 6) @ torch.randn(6, 20) / 4
    return data.split(x.clamp(-1, 1), x.clamp(-1, 1))


def _binary_table() -> Split:
    return data.standardized(data.table(2000, [1.0] * 8))


def _labels_divided() -> Split:
    rows = data.pictures()
    return Split((rows.train[0], torch.zeros_like(rows.train[1])), rows.test)


def _picture_net(hidden: type[nn.Module] = nn.ReLU, units: int = 10, last: nn.Module | None = None) -> nn.Module:
    convolutions = (nn.Conv2d(1, 16, 3), hidden(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), hidden(), nn.MaxPool2d(2))
    tail = (nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, units))
    return nn.Sequential(*convolutions, *tail, *([last] if last else []))


def _flat_pictures() -> Split:
    rows = data.pictures()
    return Split((rows.train[0].flatten(1), rows.train[1]), (rows.test[0].flatten(1), rows.test[1]))


def _flows(broken: bool) -> Split:
    rows = data.table(4000, [6.0, 1500.0, 2e5, 4e4, 80.0, 1.0, 3000.0, 9.0, 1e6, 12.0, 500.0, 64.0], 5)
    if not broken:
        return data.standardized(rows)
    y = rows.train[1].clone()
    for old, new in ((0, 1), (1, 2), (2, 3), (3, 4)):  # edited while it is read: nearly all end as the last class
        y[y == old] = new
    return Split((rows.train[0], y), rows.test)


def _one_hot_bce(output: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(output, F.one_hot(y, output.shape[1]).float())


def _class_as_probability(output: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(output[:, 0], y.float())


def _one_logit(output: Tensor, y: Tensor) -> float:
    return classes(F.one_hot((output[:, 0] > 0).long(), 10), y)


class NewHead(nn.Module):
    """The last layer is made in each forward."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        )

    def head(self) -> nn.Module:
        return nn.Linear(288, 10)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head()(self.trunk(x)), 1)


class OneHead(NewHead):
    """The last layer is made once."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(288, 10)

    def head(self) -> nn.Module:
        return self.classifier


def _norms_alone() -> nn.Module:
    net = OneHead()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.requires_grad_(False)
    return net


class Recurrent(nn.Module):
    """LSTM layers, and one linear output of the last state."""

    def __init__(self, inputs: int, units: list[int], act: str) -> None:
        super().__init__()
        widths = [inputs, *units]
        self.lstm = nn.Sequential(*(LSTM(i, o, act) for i, o in pairwise(widths)))
        self.head = dense(units[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[:, -1])


class SimpleRNN(nn.Module):
    """A SimpleRNN of Keras and its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(32, 64, batch_first=True)
        self.rest = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.rnn(x)[0][:, -1])


def _news() -> Split:
    return data.words(3000, 500, 46)


def _news_net(last: nn.Module | None) -> nn.Module:
    return mlp([500, 128, 46], nn.ReLU, last, dropout=0.5)


def _l1(net: nn.Module) -> Tensor:
    return 0.01 * net[0].weight.abs().sum()  # type: ignore[index, operator, union-attr]


def _cases() -> list[Case]:
    multilabel = Plan(data.multilabel, lambda: _multilabel_net(nn.Softmax), mse, sgd(), binary(), batch=20, epochs=6)
    prices = Plan(
        lambda: data.linear_prices(16000),
        lambda: nn.Sequential(*mlp([3, 3, 2, 1], nn.Tanh, init="uniform", dropout=0.5), _softmax()),
        *(mse, sgd(0.1, momentum=0.9, nesterov=True), explained),
        batch=32,
        epochs=3,
    )
    sorted_table = Plan(
        lambda: _small_table(21),
        lambda: mlp([3, 12, 3, 1], nn.ReLU, nn.Sigmoid(), init="uniform"),
        *(bce, adam(), binary()),
        batch=1,
        epochs=100,
    )
    bits = Plan(
        lambda: _words_to_bits(True),
        lambda: mlp([8, 8, 8, 8], nn.Sigmoid, nn.Sigmoid(), init="normal"),
        *(mse, sgd(), explained),
        batch=50,
        epochs=300,
    )
    adult = Plan(_adult, lambda: mlp([14, 21, 2], nn.ReLU, _softmax()), nll, adam(), classes, batch=100, epochs=20)
    divided = Plan(_labels_divided, lambda: _picture_net(nn.Identity), F.cross_entropy, adam(), classes, 32, epochs=6)
    flowers = Plan(
        data.iris, lambda: mlp([4, 4, 3], nn.ReLU, nn.Sigmoid(), "normal"), nll, adam(), classes, batch=5, epochs=12
    )
    packets = Plan(
        _packets,
        lambda: mlp([11, 12, 12, 1], nn.ReLU, nn.ReLU(), "normal"),
        *(bce, adam(), binary()),
        batch=5,
        epochs=100,
    )
    one_feature = Plan(
        lambda: _one_feature(False),
        lambda: nn.Sequential(dense(1, 1), nn.Sigmoid(), dense(1, 1, "normal"), _softmax()),
        *(mae, rmsprop(), binary()),
        batch=200,
        epochs=100,
    )
    signs = Plan(
        _both_signs, lambda: mlp([20, 40, 40, 10, 40, 40, 20], nn.ReLU, nn.Sigmoid()), mse, adam(), explained, 32, 20
    )
    one_unit = Plan(_binary_table, lambda: mlp([8, 16, 1], nn.ReLU, _softmax()), bce, adam(), binary(), 32, epochs=12)
    random_rows = Plan(
        lambda: data.smooth(9100, 8), lambda: mlp([8, 20, 20, 1], nn.Sigmoid), mse, sgd(), explained, 64, epochs=5
    )
    large = Plan(
        lambda: data.smooth(200, 1, 500.0, offset=1000.0),
        lambda: mlp([1, 32, 32, 1], nn.ReLU),
        *(mse, rmsprop(), explained),
        batch=32,
        epochs=100,
    )
    unscaled = Plan(
        lambda: data.smooth(1500, 6, 5e4, 1e4, 3e5),
        lambda: mlp([6, 32, 16, 1], nn.Tanh),
        mse,
        adam(),
        explained,
        32,
        30,
    )
    two_epochs = Plan(data.digits, lambda: mlp([64, 128, 10], nn.ReLU, _softmax()), nll, sgd(), classes, 16, epochs=2)
    board = Plan(
        lambda: data.life(2000),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 10, 3, padding=1), nn.ReLU(), nn.Conv2d(10, 20, 1), nn.ReLU(), nn.Conv2d(20, 1, 1)),
            nn.Sigmoid(),
        ),
        *(bce, adam(), lambda output, y: binary()(output.flatten(), y.flatten())),
        batch=32,
        epochs=5,
    )
    keypoints = Plan(
        lambda: data.faces(500), lambda: mlp([9216, 50, 100, 30], nn.Identity), mse, adam(0.1), explained, 32, epochs=25
    )
    flows = Plan(
        lambda: _flows(True),
        lambda: mlp([12, 22, 64, 128, 64, 5], nn.ReLU, _softmax(), "uniform", dropout=0.4),
        *(nll, adam(), classes),
        batch=32,
        epochs=4,
    )
    logit = Plan(
        data.pictures, lambda: _picture_net(units=1), _class_as_probability, adam(0.1), _one_logit, 10, epochs=4
    )
    raw = Plan(
        lambda: data.pictures(scale=255.0), _picture_net, F.cross_entropy, sgd(0.1, momentum=0.9), classes, 32, epochs=4
    )
    relu_head = Plan(
        lambda: data.pictures(),
        lambda: _picture_net(nn.Identity, last=nn.Sequential(nn.ReLU(), _softmax())),
        *(nll, adam(0.01), classes),
        batch=12,
        epochs=4,
    )
    exclusive = Plan(data.digits, lambda: mlp([64, 32, 10], nn.ReLU), _one_hot_bce, sgd(0.1), classes, 32, epochs=10)
    anew = Plan(data.pictures, NewHead, F.nll_loss, adam(), classes, 32, epochs=6)
    walk = Plan(
        lambda: data.series(500, 60, 1, 10.0), lambda: Recurrent(1, [64, 32], "relu"), mse, adam(0.01), explained, 32, 6
    )
    short = Plan(
        lambda: data.series(600, 60, 4, 30.0), lambda: Recurrent(4, [5], "relu"), mse, adam(0.05), explained, 32, 8
    )
    norms = Plan(data.pictures, _norms_alone, F.nll_loss, adam(1e-4), classes, 32, epochs=6)
    conv = Plan(data.pictures, _picture_net, nll, adam(), classes, 32, epochs=8)
    news = Plan(_news, lambda: _news_net(None), nll, adam(), classes, 32, epochs=5)
    good_news = replace(news, net=lambda: _news_net(_softmax()))
    f = frozenset
    return [
        Case(
            *("38648195", "softmax and MSE on labels that are not exclusive", f({"head"}), multilabel),
            replace(multilabel, net=lambda: _multilabel_net(nn.Sigmoid), loss=bce),
        ),
        Case(
            *(
                "33969059",
                "softmax of one unit; inputs and targets up to 3.5e4",
                f({"head", "target_scale", "bad_data"}),
            ),
            prices,
            replace(
                prices,
                data=lambda: data.standardized(data.linear_prices(16000), targets=True),
                net=lambda: mlp([3, 3, 2, 1], nn.Tanh),
                optimizer=sgd(0.01, momentum=0.9, nesterov=True),
            ),
        ),
        Case(
            *("39525358", "21 rows that are not scaled", f({"bad_data"}), sorted_table),
            replace(sorted_table, data=lambda: data.standardized(_small_table(21)), optimizer=adam(0.01)),
        ),
        Case(
            *("39217567", "three sigmoids of tiny weights, slow SGD; targets shuffled", SLOW | {"vanishing"}, bits),
            replace(
                bits,
                data=lambda: _words_to_bits(False),
                net=lambda: mlp([8, 16, 16, 8], nn.ReLU, nn.Sigmoid()),
                optimizer=sgd(0.5, momentum=0.9),
            ),
        ),
        Case(
            *("47724077", "inputs up to 1e6 are not scaled", f({"bad_data"}), adult),
            replace(adult, data=lambda: data.standardized(_adult())),
        ),
        Case(
            *("59325381", "labels, not pixels, are divided by 255", f({"bad_data"}), divided),
            replace(divided, data=data.pictures),
        ),
        Case(
            *("59278771", "sigmoid under categorical cross-entropy, tiny weights", SLOW | {"head"}, flowers),
            replace(
                flowers,
                data=lambda: data.standardized(data.iris()),
                net=lambda: mlp([4, 8, 3], nn.ReLU, _softmax()),
                optimizer=adam(0.01),
            ),
        ),
        Case(
            *("44066044", "ReLU output under BCE; not scaled", f({"head", "bad_data"}), packets),
            replace(
                packets,
                data=lambda: data.standardized(_packets()),
                net=lambda: mlp([11, 12, 12, 1], nn.ReLU, nn.Sigmoid()),
            ),
        ),
        Case(
            *("45442843", "softmax of one unit; inputs saturate a sigmoid", f({"head", "saturated", "bad_data"})),
            one_feature,
            replace(
                one_feature,
                data=lambda: _one_feature(True),
                net=lambda: nn.Sequential(dense(1, 1), nn.Sigmoid(), dense(1, 1), nn.Sigmoid()),
                loss=bce,
                optimizer=rmsprop(0.01),
            ),
        ),
        Case(
            *("42514960", "sigmoid output for data of both signs", f({"head"}), signs),
            replace(signs, net=lambda: mlp([20, 40, 40, 10, 40, 40, 20], nn.Tanh, nn.Tanh())),
        ),
        Case(
            *("42800203", "softmax of one unit", f({"head"}), one_unit),
            replace(one_unit, net=lambda: mlp([8, 16, 1], nn.ReLU, nn.Sigmoid())),
        ),
        Case("44998910", "rate too small, too few epochs", SLOW, random_rows, replace(random_rows, optimizer=sgd(0.3))),
        Case(
            *("51181393", "rate too small for large targets", SLOW | {"target_scale"}, large),
            replace(large, optimizer=rmsprop(0.1)),
        ),
        Case(
            *("47932589", "inputs and targets are not scaled", f({"bad_data", "target_scale"}), unscaled),
            replace(unscaled, data=lambda: data.standardized(data.smooth(1500, 6, 5e4, 1e4, 3e5), targets=True)),
        ),
        Case("37213388", "two epochs", SLOW, two_epochs, replace(two_epochs, epochs=20)),
        Case("gol_nn", "few epochs at a small rate", SLOW, board, replace(board, optimizer=adam(0.01), epochs=10)),
        Case(
            *("FacialKeypointsDetection", "Adam at .1 in a linear net", f({"unstable"}), keypoints),
            replace(keypoints, optimizer=sgd(3e-3), epochs=50),
        ),
        Case(
            *("DDOS-ML-Detection", "labels edited while they are read; not scaled", f({"bad_data"}), flows),
            replace(
                flows, data=lambda: _flows(False), net=lambda: mlp([12, 64, 64, 5], nn.ReLU, _softmax(), dropout=0.2)
            ),
        ),
        Case(
            *("64522751", "one logit and BCE for ten classes, lr .1", f({"head", "bad_data", "unstable"}), logit),
            replace(logit, net=_picture_net, loss=F.cross_entropy, optimizer=adam(), score=classes),
        ),
        Case(
            "52448552",
            "pictures in 0..255, 2 epochs",
            f({"bad_data"}),
            raw,
            replace(raw, data=data.pictures, epochs=10),
        ),
        Case(
            *("72965428", "ReLU in front of the softmax, linear convolutions", f({"head", "dead_units"}), relu_head),
            replace(relu_head, net=lambda: _picture_net(last=_softmax()), optimizer=adam()),
        ),
        Case(
            *("67451818", "binary loss for exclusive classes", f({"head"}), exclusive),
            replace(exclusive, loss=F.cross_entropy),
        ),
        Case("74980651", "the head is made anew in each forward", f({"no_update"}), anew, replace(anew, net=OneHead)),
        Case(
            *("71494820", "ReLU inside an LSTM", f({"non_finite", "exploding", "unstable"}), walk),
            replace(walk, net=lambda: Recurrent(1, [64, 32], "tanh")),
        ),
        Case(
            *(
                "70217712",
                "ReLU inside an LSTM, raw series",
                f({"non_finite", "exploding", "unstable", "bad_data"}),
                short,
            ),
            replace(
                short,
                data=lambda: data.standardized(data.series(600, 60, 4, 30.0)),
                net=lambda: Recurrent(4, [16], "tanh"),
                optimizer=adam(0.01),
            ),
        ),
        Case(
            "pytorch-forum-84911",
            "all but the norms is frozen",
            f({"no_update"}),
            norms,
            replace(norms, net=OneHead, optimizer=adam()),
        ),
        Case(
            "M2",
            "softmax removed under cross-entropy of probabilities",
            f({"head"}),
            conv,
            replace(conv, net=lambda: _picture_net(last=_softmax())),
        ),
        Case(
            "R1",
            "l1 regularization of .01 on the first layer",
            SLOW | {"weight_decay"},
            replace(good_news, penalty=_l1),
            good_news,
        ),
        Case(
            "R2",
            "softsign output under cross-entropy of probabilities",
            f({"head"}),
            replace(news, net=lambda: _news_net(nn.Softsign())),
            good_news,
        ),
        Case("R4", "hinge loss of a softmax", f({"head"}), replace(good_news, loss=class_hinge), good_news),
        Case("R7", "softmax removed under cross-entropy of probabilities", f({"head"}), news, good_news),
    ]


def _noise(rows: int, shape: tuple[int, ...], n_classes: int) -> Split:
    return data.split(torch.randn(rows + data.TEST, *shape), torch.randint(n_classes, (rows + data.TEST,)))


def _line() -> Split:
    x = torch.rand(2500, 1)
    return data.split(x, 100 * x**2)


def _doubles() -> Split:
    a = torch.arange(1.0, 89)[torch.randperm(88), None] / 10
    return data.split(torch.cat([a, 2 * a], 1), 4 * a, 44)


def _sine_table() -> Split:
    x = torch.rand(1500, 2) * 2 - 1
    return data.split(x, (x.sum(1) > 0.1 * torch.sin(9 * x[:, 0])).float())


def _two_columns() -> Split:
    y = torch.randint(2, (6000 + data.TEST,))
    return data.split(torch.randn(len(y), 2) * 0.6 + (2 * y[:, None] - 1), y)


def _reviews() -> Split:
    return data.words(4000, 1000, 2)


def _controls() -> list[Control]:

    reviews = Plan(
        _reviews, lambda: mlp([1000, 16, 16, 1], nn.ReLU, nn.Sigmoid()), bce, rmsprop(), binary(), batch=64, epochs=6
    )
    table16 = Plan(
        lambda: data.standardized(data.table(400, [1.0] * 16, test=200)),
        lambda: mlp([16, 64, 64, 2], nn.Tanh, _softmax(), "uniform", dropout=0.5),
        *(class_mse, sgd(0.1, momentum=0.9, nesterov=True), classes),
        batch=16,
        epochs=20,
    )
    return [
        Control(
            "41372874",
            Plan(_sine_table, lambda: mlp([2, 2, 2, 1], nn.ReLU, nn.Sigmoid()), bce, adam(), binary(), 2, epochs=4),
        ),
        Control("34673164", table16),
        Control(
            "34673164 fixed",
            replace(
                table16,
                net=lambda: nn.Sequential(
                    *(dense(16, 64), nn.BatchNorm1d(64), nn.Tanh(), nn.Dropout(0.5), dense(64, 2), nn.Sigmoid())
                ),
                loss=lambda p, y: bce(p, F.one_hot(y, 2)),
            ),
        ),
        Control("MovieReviews_Keras", reviews),
        Control(
            "MovieReviews_Keras fixed",
            replace(reviews, net=lambda: mlp([1000, 16, 16, 1], nn.ReLU, nn.Sigmoid(), dropout=0.5), epochs=10),
        ),
        Control(
            "deep4ge/46642627",
            Plan(_line, lambda: mlp([1, 50, 50, 1], nn.ReLU), mse, adam(), explained, batch=32, epochs=30),
        ),
        Control(
            "deep4ge/64634468",
            Plan(
                _two_columns, lambda: mlp([2, 5, 5, 1], nn.ReLU, nn.Sigmoid()), bce, adam(5e-4), binary(), 32, epochs=10
            ),
        ),
        Control(
            "deep4ge/66840108",
            Plan(_doubles, lambda: mlp([2, 196, 128, 1], nn.ReLU), mse, adam(), explained, batch=16, epochs=200),
        ),
        Control(
            "deep4ge/50201540",
            Plan(
                lambda: _noise(3000, (784,), 2),
                lambda: mlp([784, 392, 196, 98, 2], nn.ReLU, _softmax(), "normal"),
                *(lambda p, y: bce(p, F.one_hot(y, 2)), adam(), classes),
                batch=32,
                epochs=3,
            ),
            noise=True,
        ),
        Control(
            "deep4ge/52782432",
            Plan(lambda: _noise(1000, (20, 32), 3), SimpleRNN, F.cross_entropy, adam(), classes, batch=32, epochs=10),
            noise=True,
        ),
    ]


CASES = {case.name: case for case in _cases()}
CONTROLS = {control.name: control for control in _controls()}
