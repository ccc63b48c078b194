"""Images are classified: scikit-learn's digits of 8 by 8 pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, Training
from toolkit import Supervised, accuracy, adam, adamw, batches, digits, schedule, sgd, warmup_cosine
from torch import Tensor, nn

Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def classify(
    net: Callable[[], nn.Module],
    *,
    module: type[Supervised] = Supervised,
    steps: int = 300,
    good: float = 0.9,
    change: Change | None = None,
    spoil: Callable[[nn.Module], Any] | None = None,
    trainer: dict[str, Any] | None = None,
    **options: Any,
) -> Training:
    """Returns a training on the digits; ``change`` does something to the data, ``spoil`` to the net."""
    x, y, x_test, y_test = digits()
    if change is not None:
        x, y = change(x.clone(), y.clone())
    made = net()
    if spoil is not None:
        spoil(made)
    fitted = module(made, **options)
    score = accuracy(x_test, y_test)
    return Training(fitted, batches(x, y), steps, score, 0.1, good, trainer or {}, (x_test, y_test))


def cnn(norm: bool = True) -> nn.Sequential:
    """Two convolutions and a head."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16) if norm else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32) if norm else nn.Identity(),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def deep_cnn(act: Callable[[], nn.Module] = nn.ReLU, depth: int = 6) -> nn.Sequential:
    """Convolutions without normalization."""
    layers: list[nn.Module] = [nn.Conv2d(1, 16, 3, padding=1), act()]
    for _ in range(depth - 1):
        layers += [nn.Conv2d(16, 16, 3, padding=1), act()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))


class Inverted(nn.Module):
    """A block of an EfficientNet: expand, filter each channel, squeeze and excite, project."""

    def __init__(self, width: int, expand: int = 4) -> None:
        super().__init__()
        inner = width * expand
        self.expand = nn.Sequential(nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.SiLU())
        self.filter = nn.Sequential(
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.SiLU()
        )
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(inner, 8, 1), nn.SiLU(), nn.Conv2d(8, inner, 1), nn.Sigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.filter(self.expand(x))
        return x + self.project(h * self.excite(h))


def depthwise() -> nn.Sequential:
    """A small EfficientNet."""
    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.SiLU()]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 10)]
    return nn.Sequential(*stem, Inverted(16), nn.MaxPool2d(2), Inverted(16), *head)


def blurpool() -> nn.Sequential:
    """A CNN that is subsampled by fixed filters."""
    blur = nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16, bias=False)
    kernel = torch.tensor([1.0, 2.0, 1.0])
    blur.weight.data.copy_((kernel[:, None] * kernel / 16).expand(16, 1, 3, 3))
    blur.weight.requires_grad_(False)
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), blur]
    second = [nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(128, 10))


class Residual(nn.Module):
    """A basic block of a ResNet."""

    def __init__(self, fan_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(fan_in, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.skip = nn.Conv2d(fan_in, width, 1, stride) if stride > 1 or fan_in != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.skip(x))


def resnet() -> nn.Sequential:
    """Four residual blocks."""
    stem = [nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 32, 1), Residual(32, 32, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


class ViT(nn.Module):
    """Patches of 2 by 2 pixels, two transformer layers, a class token."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 17, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(h), -1, -1), h], 1) + self.positions
        return self.head(self.layers(h)[:, 0])


class Mixer(nn.Module):
    """An MLP-Mixer of two blocks."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, 2)
        self.over_tokens = nn.ModuleList(nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in "12")
        self.over_width = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width)) for _ in "12"
        )
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.patches(x).flatten(2)
        for tokens, width in zip(self.over_tokens, self.over_width, strict=True):
            h = h + tokens(h)
            h = h + width(h.transpose(1, 2)).transpose(1, 2)
        return self.head(h.mean(2))


def vgg_head() -> nn.Sequential:
    """A CNN with the head of a VGG: activations in place between linear layers."""
    features = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2), nn.Flatten()]
    head = [nn.Linear(256, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 64), nn.ReLU(True), nn.Dropout()]
    return nn.Sequential(*features, *head, nn.Linear(64, 10))


class Detached(nn.Module):
    """A trunk of two features whose gradient is cut off before the head."""

    def __init__(self, is_cut: bool) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*list(cnn(norm=False))[:-1], nn.Linear(128, 3), nn.Tanh())
        self.head = nn.Linear(3, 10)
        self.is_cut = is_cut

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x)
        return self.head(h.detach() if self.is_cut else h)


class Mixup(Supervised):
    """Pairs of images and their labels are mixed."""

    def training_step(self, batch: Any, _: int) -> Tensor:
        x, y = batch
        share = float(torch.distributions.Beta(0.4, 0.4).sample())
        other = torch.randperm(len(x))
        output = self(share * x + (1 - share) * x[other])
        return share * self.loss(output, y) + (1 - share) * self.loss(output, y[other])


class OneHot(Supervised):
    """Each class has a sigmoid of its own."""

    def training_step(self, batch: Any, _: int) -> Tensor:
        x, y = batch
        return F.binary_cross_entropy_with_logits(self(x), F.one_hot(y, 10).float())


class ByHand(Supervised):
    """Manual optimization that returns nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.automatic_optimization = False

    def training_step(self, batch: Any, _: int) -> None:  # type: ignore[override]
        x, y = batch
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.loss(self(x), y))
        optimizer.step()


class Distilled(Supervised):
    """Learns what a larger net gives, and the labels."""

    def __init__(self, *args: Any, cut: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.teacher = cnn()
        x, y, *_ = digits()
        teacher = torch.optim.Adam(self.teacher.parameters(), 1e-2)
        for start in range(0, len(x), 32):
            teacher.zero_grad()
            F.cross_entropy(self.teacher(x[start : start + 32]), y[start : start + 32]).backward()
            teacher.step()
        self.teacher.requires_grad_(False)

    def training_step(self, batch: Any, _: int) -> Tensor:
        x, y = batch
        self.teacher.eval()
        student, teacher, heat = self(x), self.teacher(x), 4.0
        soft = F.kl_div(F.log_softmax(student / heat, 1), F.softmax(teacher / heat, 1), reduction="batchmean")
        return heat**2 * soft + 0.5 * self.loss(student, y)


class TwoHeads(Supervised):
    """A class and a number of one trunk."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ink = nn.Linear(10, 1)

    def training_step(self, batch: Any, _: int) -> Tensor:
        x, year, y = batch
        logits = self(x)
        ink = self.ink(logits)[:, 0]
        return self.loss(logits, y) + 0.1 * F.mse_loss(ink, (year - 2000) / 10)


def two_heads(**options: Any) -> Training:
    """The second tensor of a batch is an integer of another head: a year."""
    x, y, x_test, y_test = digits()
    module = TwoHeads(cnn(), **options)
    year = 2000 + x.flatten(1).sum(1).round().long()
    return Training(module, batches(x, year, y), 300, accuracy(x_test, y_test), 0.1, 0.9)


def only(*names: str) -> Callable[[nn.Module], Iterable[nn.Parameter]]:
    """The parameters whose name begins so."""
    return lambda net: [p for name, p in net.named_parameters() if name.startswith(names)]


def frozen_but_bias(net: nn.Module) -> None:
    """All is frozen but the head's bias."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name == "9.bias")


def zero_frozen_head(net: nn.Sequential) -> None:
    """The head is zero and frozen."""
    for parameter in net[-1].parameters():
        nn.init.zeros_(parameter).requires_grad_(False)


def zeros(net: nn.Module) -> None:
    """All is zero."""
    for parameter in net.parameters():
        nn.init.zeros_(parameter)


def scaled(by: float) -> Callable[[nn.Module], None]:
    """All weights are scaled."""

    def spoil(net: nn.Module) -> None:
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.data.mul_(by)

    return spoil


def negative_biases(net: nn.Sequential) -> None:
    """The biases of the convolutions keep every ReLU at zero."""
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.bias, -20.0)


def one_class(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """All labels are 0."""
    return x, torch.zeros_like(y)


def nan_sample(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """One sample has a NaN."""
    x[7, 0, 3, 3] = torch.nan
    return x, y


def shuffled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Labels do not belong to their images."""
    return x, y[torch.randperm(len(y))]


def no_input(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """All images are black."""
    return torch.zeros_like(x), y


def softmax_twice(output: Tensor, y: Tensor) -> Tensor:
    """Softmax before cross-entropy."""
    return F.cross_entropy(output.softmax(1), y)


def over_batch(output: Tensor, y: Tensor) -> Tensor:
    """Log-softmax over the samples, not the classes."""
    return F.nll_loss(F.log_softmax(output, 0), y)


SMOOTH = partial(F.cross_entropy, label_smoothing=0.1)
MOMENTUM = sgd(0.05, momentum=0.9, weight_decay=5e-4)
PLAIN = partial(cnn, norm=False)


def good(name: str, kind: str, net: Callable[[], nn.Module], **options: Any) -> Case:
    """A case that is meant to learn."""
    return Case(name, kind, partial(classify, net, **options))


def sick(name: str, fault: str, helps: str, net: Callable[[], nn.Module], **options: Any) -> Case:
    """A case with a fault; ``helps``: verdicts, separated by spaces."""
    return Case(name, "images of digits", partial(classify, net, **options), fault, tuple(helps.split()))


CASES = [
    good("cnn", "CNN with BatchNorm, Adam", cnn, steps=800),
    good("cnn_no_norm", "CNN without norm, Adam", PLAIN, optimizer=adam(5e-3), steps=700),
    good("cnn_deep", "CNN of 6 convolutions without norm, Adam", deep_cnn, optimizer=adam(3e-3), steps=700),
    good(
        "cnn_sgd",
        "CNN, SGD with momentum and cosine",
        cnn,
        optimizer=MOMENTUM,
        scheduler=warmup_cosine(60, 600),
        steps=600,
    ),
    good(
        "depthwise",
        "EfficientNet-like, AdamW",
        depthwise,
        optimizer=adamw(3e-3),
        scheduler=warmup_cosine(30, 250),
        steps=250,
    ),
    good("blurpool", "CNN with fixed blur filters, Adam", blurpool),
    good("label_smoothing", "CNN, label smoothing, SGD with weight decay", cnn, loss=SMOOTH, optimizer=MOMENTUM),
    good(
        "accumulate2",
        "CNN, accumulate_grad_batches=2",
        cnn,
        optimizer=adam(2e-3),
        steps=200,
        trainer={"accumulate_grad_batches": 2},
    ),
    good("bf16", "CNN, bf16-mixed", cnn, steps=200, optimizer=adam(2e-3), trainer={"precision": "bf16-mixed"}),
    good("resnet", "ResNet with activations in place, SGD", resnet, optimizer=MOMENTUM, steps=200),
    good(
        "vit",
        "ViT, AdamW, warm-up and cosine, clip 1.0",
        ViT,
        optimizer=adamw(2e-3),
        steps=300,
        good=0.75,
        scheduler=warmup_cosine(50, 300),
        trainer={"gradient_clip_val": 1.0},
    ),
    good(
        "vit_long_warmup",
        "ViT, warm-up of a third of the run",
        ViT,
        optimizer=adamw(2e-3),
        steps=300,
        good=0.75,
        scheduler=warmup_cosine(100, 300),
    ),
    good("mixer", "MLP-Mixer, AdamW", Mixer, optimizer=adamw(3e-3), steps=300, good=0.85),
    good("vgg_head", "CNN with VGG's head in place, Adam", vgg_head, optimizer=adam(2e-3), steps=400),
    good("mixup", "CNN, mixup", cnn, module=Mixup, optimizer=adam(2e-3)),
    good("one_hot_bce", "CNN, ten sigmoids", cnn, module=OneHot, optimizer=adam(2e-3)),
    good("by_hand", "CNN, manual optimization that returns nothing", cnn, module=ByHand, optimizer=adam(2e-3)),
    good(
        "distillation",
        "CNN learns of a CNN, labels in the batch",
        PLAIN,
        module=Distilled,
        optimizer=adam(5e-3),
        steps=700,
    ),
    good(
        "narrow",
        "CNN with a trunk of three features, Adam",
        partial(Detached, False),
        optimizer=adam(1e-2),
        steps=1200,
        good=0.8,
    ),
    Case("two_heads", "multi-task: a class, and a year as a number", partial(two_heads, optimizer=adam(2e-3))),
    sick("cnn/lr_low", "SGD lr 1e-6", "stalled slow", cnn, optimizer=sgd(1e-6)),
    sick("cnn/lr_high", "SGD lr 30", "unstable exploding non_finite", PLAIN, optimizer=sgd(30.0)),
    sick("cnn/adam_lr_high", "Adam lr 1", "unstable exploding", PLAIN, optimizer=adam(1.0)),
    sick(
        "cnn/wrong_parameters",
        "the optimizer holds the first layer's bias alone",
        "no_update",
        PLAIN,
        parameters=only("0.bias"),
    ),
    sick("cnn/head_only_bias", "all but the head's bias is frozen", "no_update", cnn, spoil=frozen_but_bias),
    sick(
        "cnn/softmax_twice",
        "softmax before cross-entropy, SGD",
        "head",
        deep_cnn,
        loss=softmax_twice,
        optimizer=sgd(0.01),
    ),
    sick("cnn/softmax_over_batch", "log-softmax over the batch", "head", PLAIN, loss=over_batch, optimizer=adam(3e-3)),
    sick(
        "cnn/decays_at_once",
        "the schedule is at zero after 5 steps",
        "rate_decays",
        PLAIN,
        scheduler=schedule(lambda step: max(0.0, 1 - step / 5)),
    ),
    sick(
        "cnn/lr_zero",
        "warm-up by integers: the rate is 0 for ever",
        "no_update stalled rate_decays",
        cnn,
        scheduler=schedule(lambda step: step // 1000),
    ),
    sick(
        "cnn/accumulate2_lr_low",
        "SGD lr 1e-6, accumulate_grad_batches=2",
        "stalled slow",
        cnn,
        optimizer=sgd(1e-6),
        trainer={"accumulate_grad_batches": 2},
    ),
    sick("cnn/all_one_class", "the loader gives label 0 for all", "bad_data", cnn, change=one_class),
    sick("cnn/nan_sample", "one sample in 1437 has a NaN", "bad_data non_finite", cnn, change=nan_sample),
    sick("cnn/no_input", "all images are black", "bad_data", cnn, change=no_input),
    sick("cnn/labels_shuffled", "labels of other images", "", PLAIN, change=shuffled),
    sick("cnn/zero_init", "all weights are zero", "poor_init", PLAIN, spoil=zeros),
    sick("cnn/weight_decay", "SGD with weight decay 1", "weight_decay", PLAIN, optimizer=sgd(0.1, weight_decay=1.0)),
    sick(
        "cnn/adamw_decay",
        "AdamW with weight decay 300",
        "weight_decay",
        PLAIN,
        optimizer=adamw(1e-3, weight_decay=300.0),
    ),
    sick("cnn/dead", "biases of -20 before each ReLU", "dead_units poor_init", PLAIN, spoil=negative_biases),
    sick("cnn/deep_sigmoid", "twelve sigmoid layers", "vanishing saturated", partial(deep_cnn, nn.Sigmoid, 12)),
    sick(
        "cnn/scaled_up",
        "weights 30 times too large, tanh",
        "saturated exploding poor_init vanishing unstable",
        partial(deep_cnn, nn.Tanh, 8),
        spoil=scaled(30.0),
        optimizer=sgd(0.01),
    ),
    sick(
        "cnn/by_hand_lr_low",
        "SGD lr 1e-6, manual optimization that returns nothing",
        "stalled slow",
        cnn,
        module=ByHand,
        optimizer=sgd(1e-6),
    ),
    sick(
        "narrow/detached", "the trunk's output is detached", "no_update", partial(Detached, True), optimizer=adam(1e-2)
    ),
    sick(
        "resnet/zero_frozen_head",
        "the head is zero and frozen",
        "no_update poor_init",
        resnet,
        steps=150,
        spoil=zero_frozen_head,
        optimizer=sgd(0.05),
    ),
    sick("resnet/lr_low", "SGD lr 1e-6", "stalled slow", resnet, steps=150, optimizer=sgd(1e-6)),
    sick("vit/lr_high", "AdamW lr 0.1", "unstable exploding", ViT, optimizer=adamw(0.1), steps=200),
    sick("vit/lr_low", "AdamW lr 1e-7", "stalled slow", ViT, optimizer=adamw(1e-7), steps=200),
    sick("distillation/lr_low", "SGD lr 1e-7", "stalled slow", PLAIN, module=Distilled, optimizer=sgd(1e-7)),
    sick("mixup/lr_high", "Adam lr 3", "unstable exploding", PLAIN, module=Mixup, optimizer=adam(3.0)),
]
