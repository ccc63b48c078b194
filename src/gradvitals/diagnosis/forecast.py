"""What one batch before any training tells: the verdict that a training would begin with."""

from __future__ import annotations

from collections.abc import Sequence

from gradvitals.diagnosis.profile import Profile
from gradvitals.diagnosis.thresholds import Thresholds


def forecast(
    profile: Profile,
    faults: Sequence[str] = (),
    symmetric: Sequence[str] = (),
    silent: str | None = None,
    saturated: tuple[str, float] | None = None,
    limits: Thresholds | None = None,
) -> tuple[str, str]:
    """One verdict and its evidence, what lies deepest first.

    Whether a net learns cannot be known yet, so ``vanishing`` and ``exploding`` speak of the profile: Adam trains some
    of those nets.

    Args:
        profile: of dL/dh.
        faults: of the data, in words.
        symmetric: names of layers whose units are copies of each other.
        silent: the layer nearest to the input whose activation returned nothing but zero.
        saturated: the layer with the largest share of saturated outputs.
        limits: thresholds.

    Example:
        >>> from gradvitals.diagnosis.profile import profile
        >>> forecast(profile([1e-6, 1e-3, 1.0]), silent="net.0")
        ('dead_units', 'net.0 returns nothing but zero')
    """
    limits = limits or Thresholds()
    if faults:
        return "bad_data", "; ".join(faults)
    if symmetric:
        return "poor_init", f"all units of {symmetric[0]} are copies of each other"
    if silent:
        return "dead_units", f"{silent} returns nothing but zero"
    if saturated and saturated[1] >= limits.saturated and profile.label == "healthy":
        name, share = saturated
        return "saturated", f"{share:.0%} of the outputs of {name} are where the slope is next to nothing"
    return profile.label, profile.evidence
