"""Networks that nobody here wrote, against plain autograd."""

import copy

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule, seed_everything
from lightning.pytorch.demos.transformer import LightningTransformer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import resnet18, vit_b_16

from gradvitals import GradientVitals
from tests.callbacks.trainer import bare_trainer
from tests.callbacks.twin import Twin

SOURCE = torch.Generator().manual_seed(0)
IMAGES, CLASSES = torch.randn(8, 3, 32, 32, generator=SOURCE), torch.arange(8) % 5
TOKENS = torch.randint(0, 30, (8, 12), generator=SOURCE)


class Task(LightningModule):
    """Anybody's network, trained by the cross entropy of its outputs."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(model: LightningModule, *data: torch.Tensor, **options) -> GradientVitals:
    monitor = GradientVitals(every_n_steps=1, max_layers=None, **options.pop("monitor", {}))
    trainer = bare_trainer(monitor, **{"max_steps": 1} | options)
    trainer.fit(model, DataLoader(TensorDataset(*data), batch_size=len(data[0])))
    return monitor


def plain(net: nn.Module) -> nn.Module:
    """A copy in which nothing is done in place, which autograd's ``retain_grad`` could not bear."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return net


def without_dropout(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return net


def same_numbers(net: nn.Module, x: torch.Tensor, y: torch.Tensor, dtype=torch.float64, rel=1e-9) -> GradientVitals:
    without_dropout(net)
    twin_of = plain(net)
    exact = dtype == torch.float64
    monitor = fit(
        Task(net), x.to(dtype) if x.is_floating_point() else x, y, precision="64-true" if exact else "32-true"
    )
    names = [layer.name.removeprefix("net.") for layer in monitor.layers]
    twin = Twin(twin_of, names, {}, dtype).backward([(x, y)], F.cross_entropy)
    expected = {rename(tag): value for tag, value in (twin.before()).items()}
    assert {tag: monitor.start.get(tag) for tag in expected} == pytest.approx(expected, rel=rel, abs=1e-12)
    return monitor


def rename(tag: str) -> str:
    kind, _, label = tag.partition("/")
    index, dot, name = label.partition(".")
    return f"{kind}/{index}.net.{name}" if dot else tag


def test_resnet18_with_activations_in_place():
    seed_everything(0, verbose=False)
    monitor = same_numbers(resnet18(num_classes=5), IMAGES, CLASSES)
    names = [layer.name for layer in monitor.layers]
    assert len(names) == 21  # 20 convolutions and the head
    assert names[:3] == ["net.conv1", "net.layer1.0.conv1", "net.layer1.0.conv2"]
    assert names[-1] == "net.fc"
    # One ReLU serves both convolutions of a block; each has numbers of its own.
    means = [monitor.start[f"activation_mean/{monitor.layers[i].label}"] for i in (1, 2)]
    assert means[0] != means[1]


def test_vit_b_16():
    seed_everything(0, verbose=False)
    monitor = same_numbers(vit_b_16(image_size=32, num_classes=5), IMAGES, CLASSES, torch.float32, rel=1e-3)
    names = [layer.name for layer in monitor.layers]
    first = "net.encoder.layers.encoder_layer_0"
    assert names[:5] == [
        "net.conv_proj",
        *(f"{first}.{part}" for part in ("self_attention", "self_attention.out_proj", "mlp.0", "mlp.3")),
    ]
    assert names[-1] == "net.heads.head"
    assert len(names) == 1 + 12 * 4 + 1


class Offline(LightningTransformer):
    """Lightning's own demo, on tokens that need no download."""

    def prepare_data(self):
        pass


def test_lightnings_transformer():
    seed_everything(0, verbose=False)
    model = without_dropout(Offline(vocab_size=30))
    twin_of = plain(model.model)
    monitor = fit(model, TOKENS, TOKENS)
    names = [layer.name.removeprefix("model.") for layer in monitor.layers]
    assert names[:2] == ["embedding", "transformer.encoder.layers.0.self_attn"]
    twin = Twin(twin_of, names, {})
    twin.leaves = [TOKENS]
    F.nll_loss(twin.net(TOKENS, TOKENS), TOKENS.view(-1)).backward()
    expected = {tag.replace(".", ".model.", 1) if "." in tag else tag: v for tag, v in twin.before().items()}
    assert {tag: monitor.start.get(tag) for tag in expected} == pytest.approx(expected, rel=1e-4, abs=1e-9)


class Sequences(nn.Module):
    """Classifies by the last state of a recurrent net of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 6, num_layers=2, batch_first=True), nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.lstm(x)[1][0][-1])


def test_an_lstm_classifier():
    seed_everything(0, verbose=False)
    x = torch.randn(8, 7, 4, generator=SOURCE)
    monitor = same_numbers(Sequences(), x, CLASSES)
    assert [(layer.name, layer.kind) for layer in monitor.layers] == [("net.lstm", "LSTM"), ("net.head", "Linear")]


class DCGAN(LightningModule):
    """A generator and a discriminator of convolutions, each with its optimizer (Radford et al., 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(10, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
            nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
            nn.Conv2d(8, 1, 4, 1, 0, bias=False), nn.Flatten(),
        )  # fmt: skip

    def training_step(self, batch, batch_idx):
        of_g, of_d = self.optimizers()
        real, noise = batch
        fake = self.generator(noise)
        of_d.zero_grad()
        self.manual_backward(self.loss(real, 1.0) + self.loss(fake.detach(), 0.0))
        of_d.step()
        of_g.zero_grad()
        self.manual_backward(self.loss(fake, 1.0))
        of_g.step()

    def loss(self, images, target):
        outputs = self.discriminator(images)
        return F.binary_cross_entropy_with_logits(outputs, torch.full_like(outputs, target))

    def configure_optimizers(self):
        return [torch.optim.SGD(net.parameters(), lr=0.1) for net in (self.generator, self.discriminator)]


def test_a_dcgan_pair():
    seed_everything(0, verbose=False)
    real, noise = torch.randn(8, 3, 8, 8, generator=SOURCE), torch.randn(8, 10, 1, 1, generator=SOURCE)
    model = DCGAN().double()
    twin = copy.deepcopy(model)
    monitor = fit(model, real.double(), noise.double(), precision="64-true")
    label = {layer.name: layer.label for layer in monitor.layers}
    assert list(label) == ["generator.0", "generator.3", "discriminator.0", "discriminator.2"]

    # By hand: the discriminator's step, then the generator's through the discriminator that has moved.
    outputs = {}
    for name in label:
        layer = twin.get_submodule(name)
        layer.register_forward_hook(
            lambda _, __, h, name=name: (h.retain_grad(), outputs.setdefault(name, []).append(h))[0]
        )
    for module in twin.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    fake = twin.generator(noise.double())
    (twin.loss(real.double(), 1.0) + twin.loss(fake.detach(), 0.0)).backward()
    expected = {}
    for name in ("discriminator.0", "discriminator.2"):
        expected[f"grad_norm/{label[name]}"] = twin.get_submodule(name).weight.grad.norm().item()
        expected[f"activation_grad_norm/{label[name]}"] = torch.cat([h.grad for h in outputs[name]]).norm().item()
    with torch.no_grad():
        for parameter in twin.discriminator.parameters():
            parameter -= 0.1 * parameter.grad
    twin.loss(fake, 1.0).backward()
    for name in ("generator.0", "generator.3"):
        expected[f"grad_norm/{label[name]}"] = twin.get_submodule(name).weight.grad.norm().item()
        expected[f"activation_grad_norm/{label[name]}"] = torch.cat([h.grad for h in outputs[name]]).norm().item()
    assert {tag: monitor.start[tag] for tag in expected} == pytest.approx(expected, rel=1e-9)
    assert (
        monitor.start[f"activation_mean/{label['generator.0']}"] > 0
    )  # of ReLU's outputs, in the forward pass both share


class Checkpointed(nn.Module):
    """Activations are computed again in backward, and a weight is divided by its spectral norm."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.a, self.reentrant = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 5)), reentrant
        self.b, self.head = nn.Linear(5, 5), nn.Linear(5, 5)

    def block(self, x):
        return self.b(torch.tanh(self.a(x)))

    def forward(self, x):
        from torch.utils.checkpoint import checkpoint

        return self.head(checkpoint(self.block, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_and_spectral_norm(reentrant):
    seed_everything(0, verbose=False)
    net = Checkpointed(reentrant)
    x = torch.randn(8, 6, generator=SOURCE)
    twin = copy.deepcopy(net)
    monitor = fit(Task(net), x.requires_grad_() if reentrant else x, CLASSES)
    twin.reentrant = False
    F.cross_entropy(twin(x), CLASSES).backward()
    label = {layer.name: layer.label for layer in monitor.layers}
    assert list(label) == ["net.a", "net.b", "net.head"]
    found = monitor.start[f"grad_norm/{label['net.a']}"]
    assert found == pytest.approx(twin.a.parametrizations.weight.original.grad.norm().item(), rel=1e-4)
    assert monitor.start[f"grad_norm/{label['net.b']}"] == pytest.approx(twin.b.weight.grad.norm().item(), rel=1e-4)
