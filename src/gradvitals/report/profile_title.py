"""What the gradients of a training look like, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradvitals.diagnosis.profile import profile

Profiles = Mapping[int, Sequence[float | None]]  # step -> norms of dL/dh by layer, input side first


def title(profiles: Profiles) -> tuple[str, str]:
    """Returns the shape of a profile and its evidence: of the first step that is not finite, else of the first step.

    A profile is ``even``, where the verdict of a run would be healthy: it says nothing about what the network learns.

    Example:
        >>> title({0: [1e-6, 1e-4, 1e-2]})
        ('vanishing', "at step 0 layer 0 receives 0.0001 of layer 2's gradient: 0.01 per layer")
    """
    found = {step: profile(profiles[step]) for step in sorted(profiles)}
    sick = (step for step, shape in found.items() if shape.label == "non_finite")
    step = next(sick, min(found))
    label = "even" if found[step].label == "healthy" else found[step].label
    return label, f"at step {step} {found[step].evidence}"
