"""Networks with shortcuts: the growth of the squared gradient from block to block, towards the input.

With a shortcut the gradient never vanishes. It grows exponentially with depth if the branch has no norm, and as a power
of depth if the branch begins with a norm.
"""

from __future__ import annotations

from gradvitals.theory.gaussian_moments import Act, second_moment, slope_moment
from gradvitals.theory.mean_field import chi, variance_map
from gradvitals.theory.normalized import variance


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
    """Returns the expected ``|dL/dx_l|^2 / |dL/dx_{l+1}|^2`` of pre-activation blocks ``x + alpha W phi(norm(x))``.

    Args:
        blocks, q0: number of blocks, and mean square of the first block's input.
        alpha: factor of the branch; at 0, where ReZero starts (Bachlechner et al., 2021), all factors are 1.
        norm: None (Yang & Schoenholz, 2017), ``layer`` or ``batch`` (De & Smith, 2020; large batches).
        linears: weight layers per branch; 2 means ``x + alpha W2 phi(W1 phi(norm(x)))``.

    Returns:
        One factor per block, input side first. Their product is the growth over the whole net.

    Raises:
        ValueError: another norm.

    Example:
        >>> residual_growth("relu", 2, alpha=0.0)
        [1.0, 1.0]
        >>> [round(factor, 6) for factor in residual_growth("relu", 3)]  # doubles per block, as x does
        [2.0, 2.0, 2.0]
        >>> [round(factor, 4) for factor in residual_growth("relu", 3, norm="layer")]  # L + 1 in total
        [2.0, 1.5, 1.3333]
    """
    if norm not in (None, "layer", "batch"):
        raise ValueError(f"norm: expected one of None, layer, batch; got {norm!r}")
    factors, q = [], q0
    for _ in range(blocks):
        added, passed = _branch(act, 1.0 if norm else q, sigma_w2, linears, centered=norm == "batch")
        factors.append(1 + alpha**2 * passed / (q if norm else 1.0))
        q += alpha**2 * added
    return factors


def _branch(act: Act, q: float, sigma_w2: float, linears: int, centered: bool) -> tuple[float, float]:
    """Returns the variance that a branch adds, and its factor on the squared gradient; ``q`` is its first variance."""
    passed = 1.0
    for _ in range(linears - 1):
        passed *= chi(act, q, sigma_w2)
        q = variance_map(act, q, sigma_w2)
    # The next BatchNorm subtracts the mean over the batch.
    added = sigma_w2 * (variance(act, q) if centered else second_moment(act, q))
    return added, passed * chi(act, q, sigma_w2)


def dense_growth(act: Act, width: int, growth: int, blocks: int, sigma_w2: float = 2.0, q0: float = 1.0) -> list[float]:
    """Returns the expected ``|dL/dx_l|^2 / |dL/dx_{l+1}|^2``, over all features, of ``x_{l+1} = [x_l, phi(W x_l)]``.

    It is 1 for ReLU with He's initialization; the gradient per feature then grows towards the input, where there are
    fewer features. All features of a layer are assumed to have equal gradients. (Architecture: Huang et al., 2017.)

    Args:
        width: features of the first block's input.
        growth: features that each block adds.
        blocks: number of blocks.
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
