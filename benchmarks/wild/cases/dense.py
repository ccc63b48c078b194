"""Images come out: segmentation, heat maps, autoencoders, denoising."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, Training
from lightning import LightningModule
from toolkit import Reconstructs, Supervised, adam, adamw, batches, chained, digits, predicted, sgd
from torch import Tensor, nn

SIDE = 16


@cache
def discs() -> tuple[Tensor, Tensor, Tensor]:
    """Noisy images with a disc, masks of it, and the middle of each in pixels."""
    made = torch.Generator().manual_seed(7)
    middle = torch.rand(800, 2, generator=made) * (SIDE - 6) + 3
    radius = torch.rand(800, 1, 1, generator=made) * 2 + 2
    at = torch.arange(SIDE).float()
    gaps = (at[None, :, None] - middle[:, 0, None, None]) ** 2 + (at[None, None] - middle[:, 1, None, None]) ** 2
    masks = (gaps < radius**2).float()[:, None]
    return masks + 0.6 * torch.randn(masks.shape, generator=made), masks, middle


class UNet(nn.Module):
    """Two levels with a skip."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.deep = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 2, 2),
        )
        self.up = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.down(x)
        return self.out(self.up(torch.cat([h, self.deep(h)], 1)))


def dice(output: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of the sigmoid."""
    return 1 - overlap(output.sigmoid(), masks).mean()


def overlap(shares: Tensor, masks: Tensor) -> Tensor:
    """Dice by sample."""
    return (2 * (shares * masks).sum((1, 2, 3)) + 1e-6) / ((shares + masks).sum((1, 2, 3)) + 1e-6)


def segmented(steps: int = 150, loss: Callable[..., Tensor] = dice, bias: float = 0.0, **options: Any) -> Training:
    """A U-Net finds discs."""
    x, masks, _ = discs()
    module = Supervised(UNet(), loss, **options)
    nn.init.constant_(module.net.out.bias, bias)

    def score(fitted: LightningModule) -> float:
        return float(overlap((predicted(fitted, x[600:]) > 0).float(), masks[600:]).mean())

    trivial = float(overlap(torch.ones_like(masks[600:]), masks[600:]).mean())
    return Training(module, batches(x[:600], masks[:600]), steps, score, trivial, 0.7)


def located(steps: int = 200, loss: Callable[..., Tensor] = F.mse_loss, **options: Any) -> Training:
    """A heat map whose peak is the middle of the disc, as detectors have it."""
    x, _, middle = discs()
    at = torch.arange(SIDE).float()
    gaps = (at[None, :, None] - middle[:, 0, None, None]) ** 2 + (at[None, None] - middle[:, 1, None, None]) ** 2
    maps = (-gaps / 4).exp()[:, None]
    module = Supervised(UNet(), loss, **options)

    def score(fitted: LightningModule) -> float:
        peak = predicted(fitted, x[600:]).flatten(1).argmax(1)
        found = torch.stack([peak // SIDE, peak % SIDE], 1)
        distance = (found - middle[600:]).norm(dim=1).mean()
        return float(1 - distance / (middle[600:] - middle[600:].mean(0)).norm(dim=1).mean())

    return Training(module, batches(x[:600], maps[:600]), steps, score, 0.0, 0.7)


def summed(output: Tensor, x: Tensor) -> Tensor:
    """Squared errors summed over pixels, mean over samples."""
    return (output - x).square().flatten(1).sum(1).mean()


def by_pixel(net: nn.Module) -> nn.Module:
    """A net of flat images, as one of images."""
    return nn.Sequential(nn.Flatten(), net, nn.Unflatten(1, (1, 8, 8)))


def coded(act: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    """An autoencoder with a code of 12 numbers."""
    return by_pixel(chained(64, 48, 12, 48, 64, act=act))


def deep_sigmoid() -> nn.Module:
    """An autoencoder of ten sigmoid layers."""
    return by_pixel(chained(64, 48, 32, 24, 16, 12, 16, 24, 32, 48, 64, act=nn.Sigmoid))


def convolutional() -> nn.Module:
    """A convolutional autoencoder."""
    encoder = [nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU()]
    decoder = [nn.ConvTranspose2d(8, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 1, 2, 2), nn.Sigmoid()]
    return nn.Sequential(*encoder, *decoder)


class Denoises(Supervised):
    """Noise is added to the input, and the clean image is the target."""

    def training_step(self, batch: Any, _: int) -> Tensor:
        x = batch[0]
        return self.loss(self(x + 0.5 * torch.randn_like(x)), x)


class SuperResolves(Supervised):
    """The input is the image at half its resolution."""

    def training_step(self, batch: Any, _: int) -> Tensor:
        return self.loss(self(halved(batch[0])), batch[0])


def halved(x: Tensor) -> Tensor:
    """Half the resolution."""
    return F.avg_pool2d(x, 2)


def autoencoded(
    net: Callable[[], nn.Module],
    *,
    module: type[Supervised] = Reconstructs,
    seen: Callable[[Tensor], Tensor] = lambda x: x,
    only: int | None = None,
    spoil: Callable[[nn.Module], Any] | None = None,
    steps: int = 500,
    share: float = 0.6,
    **options: Any,
) -> Training:
    """Returns a training whose loader carries labels; ``share`` of the mean image's error may be left to be good."""
    x, y, x_test, y_test = digits()
    if only is not None:
        x, y, x_test = x[y == only], torch.zeros_like(y[y == only]), x_test[y_test == only]
    made = net()
    if spoil is not None:
        spoil(made)
    shown = seen(x_test)

    def score(fitted: LightningModule) -> float:
        return -float(F.mse_loss(predicted(fitted, shown), x_test))

    trivial = -float(F.mse_loss(x.mean(0).expand_as(x_test), x_test))
    fitted = module(made, options.pop("loss", F.mse_loss), **options)
    return Training(fitted, batches(x, y), steps, score, trivial, share * trivial)


def noisy(x: Tensor) -> Tensor:
    """Noise that is always the same."""
    return x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(8))


def enlarging() -> nn.Module:
    """From 4 by 4 to 8 by 8 pixels by pixel shuffle."""
    first = [nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, nn.Conv2d(24, 4, 3, padding=1), nn.PixelShuffle(2))


def zeros(net: nn.Module) -> None:
    """All is zero."""
    for parameter in net.parameters():
        nn.init.zeros_(parameter)


class CutCode(nn.Module):
    """The code is detached and replaced by zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = chained(64, 48, 12), chained(12, 48, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(0.0 * self.encoder(x.flatten(1)).detach()).view_as(x)


BCE = F.binary_cross_entropy_with_logits
AUTO = partial(autoencoded, coded)
STALLED = ("stalled", "slow")
TOO_HIGH = ("unstable", "exploding", "non_finite")

CASES = [
    Case("unet", "U-Net, Dice loss, Adam", partial(segmented, optimizer=adam(3e-3))),
    Case(
        "unet_bce", "U-Net, cross-entropy by pixel, SGD", partial(segmented, loss=BCE, optimizer=sgd(0.2, momentum=0.9))
    ),
    Case("heatmap", "U-Net, heat map of a key point, AdamW", partial(located, optimizer=adamw(5e-3))),
    Case("autoencoder", "autoencoder, Adam", partial(AUTO, optimizer=adam(3e-3))),
    Case(
        "autoencoder_sum",
        "autoencoder, errors summed over pixels, labels in the loader",
        partial(AUTO, loss=summed, optimizer=adam(3e-3)),
    ),
    Case(
        "autoencoder_conv", "convolutional autoencoder, Adam", partial(autoencoded, convolutional, optimizer=adam(1e-2))
    ),
    Case(
        "anomaly",
        "autoencoder on normal samples: all labels are 0",
        partial(AUTO, only=0, optimizer=adam(3e-3), steps=400, share=0.8),
    ),
    Case(
        "denoising",
        "denoising autoencoder, Adam",
        partial(AUTO, module=Denoises, seen=noisy, share=0.75, optimizer=adam(3e-3)),
    ),
    Case(
        "superresolution",
        "super-resolution by pixel shuffle, Adam",
        partial(autoencoded, enlarging, module=SuperResolves, seen=halved, optimizer=adam(3e-3), steps=300),
    ),
    Case("unet/lr_low", "U-Net, Dice", partial(segmented, optimizer=adam(1e-7)), "Adam lr 1e-7", STALLED),
    Case(
        "unet/saturated_out",
        "U-Net, Dice",
        partial(segmented, optimizer=adam(1e-3), bias=-40.0),
        "the output's bias is -40: its sigmoid is 0",
        ("head", "saturated", "poor_init"),
    ),
    Case(
        "unet/lr_high", "U-Net, cross-entropy", partial(segmented, loss=BCE, optimizer=sgd(1e4)), "SGD lr 1e4", TOO_HIGH
    ),
    Case("heatmap/lr_low", "U-Net, heat map", partial(located, optimizer=sgd(1e-6)), "SGD lr 1e-6", STALLED),
    Case(
        "heatmap/weight_decay",
        "U-Net, heat map",
        partial(located, optimizer=sgd(0.1, weight_decay=1.0)),
        "SGD with weight decay 1",
        ("weight_decay",),
    ),
    Case(
        "autoencoder/deep_sigmoid",
        "autoencoder",
        partial(autoencoded, deep_sigmoid, optimizer=adam(1e-3)),
        "ten sigmoid layers",
        ("vanishing", "saturated"),
    ),
    Case(
        "autoencoder/cut",
        "autoencoder",
        partial(autoencoded, CutCode, optimizer=adam(3e-3)),
        "the code is detached and zeroed",
        ("no_update",),
    ),
    Case("autoencoder/lr_high", "autoencoder", partial(AUTO, optimizer=adam(1.0)), "Adam lr 1", TOO_HIGH),
    Case(
        "autoencoder_sum/lr_low", "autoencoder", partial(AUTO, loss=summed, optimizer=sgd(1e-7)), "SGD lr 1e-7", STALLED
    ),
    Case(
        "autoencoder/zeros",
        "autoencoder",
        partial(AUTO, spoil=zeros, optimizer=adam(1e-3)),
        "all weights are zero",
        ("poor_init",),
    ),
    Case(
        "denoising/wrong_parameters",
        "denoising autoencoder",
        partial(
            AUTO,
            module=Denoises,
            seen=noisy,
            share=0.75,
            optimizer=adam(3e-3),
            parameters=lambda net: [net[1][-1].bias],
        ),
        "the optimizer holds the last bias alone",
        ("no_update",),
    ),
    Case(
        "superresolution/lr_low",
        "super-resolution",
        partial(autoencoded, enlarging, module=SuperResolves, seen=halved, optimizer=sgd(1e-6), steps=300),
        "SGD lr 1e-6",
        STALLED,
    ),
]
