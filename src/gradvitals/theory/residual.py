"""Networks with shortcuts: how the squared gradient grows from block to block, towards the input.

With a shortcut it never vanishes; it grows exponentially with depth where the branch sees the raw sum, and as a power
of depth where a norm stands in front of the branch.
"""

from __future__ import annotations

from gradvitals.theory.gaussian_moments import Act, second_moment, slope_moment
from gradvitals.theory.mean_field import chi, variance_map
from gradvitals.theory.normalised import variance

NORMS = (None, "layer", "batch")


def residual_growth(
    act: Act,
    blocks: int,
    sigma_w2: float = 2.0,
    q0: float = 1.0,
    *,
    alpha: float = 1.0,
    norm: str | None = None,
    linears: int = 1,
) -> list[float]:
    """Expected ``|dL/dx_l|^2 / |dL/dx_{l+1}|^2`` of pre-activation blocks ``x + alpha W phi(norm(x))``.

    The growth over the whole net is the product (``math.prod``).

    Args:
        act: a name of the table, or a callable on float64 tensors.
        blocks: how many.
        sigma_w2: ``fan_in * Var W``; biases are zero.
        q0: mean square of the first block's input.
        alpha: factor of the branch; at 0, ReZero's start (Bachlechner et al., 2021), each block passes all on.
        norm: None (Yang & Schoenholz, 2017), ``layer`` or ``batch`` (De & Smith, 2020; large batches).
        linears: weight layers per branch: 2 stands for ``x + alpha W2 phi(W1 phi(norm(x)))``.

    Returns:
        One factor per block, input side first.

    Raises:
        ValueError: another norm.

    Example:
        >>> residual_growth("relu", 2, alpha=0.0)
        [1.0, 1.0]
        >>> [round(factor, 6) for factor in residual_growth("relu", 3)]  # as x itself: twice per block
        [2.0, 2.0, 2.0]
        >>> [round(factor, 4) for factor in residual_growth("relu", 3, norm="layer")]  # L + 1 in total
        [2.0, 1.5, 1.3333]
    """
    if norm not in NORMS:
        raise ValueError(f"norm: expected one of None, layer, batch; got {norm!r}")
    factors, q = [], q0
    for _ in range(blocks):
        added, passed = _branch(act, 1.0 if norm else q, sigma_w2, linears, centred=norm == "batch")
        factors.append(1 + alpha**2 * passed / (q if norm else 1.0))
        q += alpha**2 * added
    return factors


def _branch(act: Act, q: float, sigma_w2: float, linears: int, centred: bool) -> tuple[float, float]:
    """Variance that a branch adds, and its factor on the squared gradient, where its first activation sees ``q``."""
    passed = 1.0
    for _ in range(linears - 1):
        passed *= chi(act, q, sigma_w2)
        q = variance_map(act, q, sigma_w2)
    # Of BatchNorm's next variance a mean over the batch is no part.
    added = sigma_w2 * (variance(act, q) if centred else second_moment(act, q))
    return added, passed * chi(act, q, sigma_w2)


def dense_growth(act: Act, width: int, growth: int, blocks: int, sigma_w2: float = 2.0, q0: float = 1.0) -> list[float]:
    """Expected ``|dL/dx_l|^2 / |dL/dx_{l+1}|^2``, over all features, of ``x_{l+1} = [x_l, phi(W x_l)]``.

    1 for ReLU under He's initialisation; per feature the gradient then grows as the features become fewer. The gradient
    is spread evenly over features in each layer, so that the new ones hold their share. (Architecture: Huang et al.,
    2017.)

    Args:
        act: a name of the table, or a callable on float64 tensors.
        width: features of the first block's input.
        growth: features that each block adds.
        blocks: how many.
        sigma_w2: ``fan_in * Var W``; biases are zero.
        q0: mean square of the first block's input.

    Example:
        >>> [round(factor, 6) for factor in dense_growth("relu", 64, 64, 2)]
        [1.0, 1.0]
        >>> [round(factor, 4) for factor in dense_growth("relu", 64, 64, 2, sigma_w2=1.0)]  # half of a half, of a third
        [0.75, 0.8333]
    """
    factors, q = [], q0
    for block in range(blocks):
        features = width + growth * block
        q_branch = sigma_w2 * q
        share = growth / (features + growth)
        factors.append(1 + share * (sigma_w2 * slope_moment(act, q_branch) - 1))
        q += share * (second_moment(act, q_branch) - q)
    return factors
