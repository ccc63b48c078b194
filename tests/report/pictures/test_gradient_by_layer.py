import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gradvitals.report.pictures.gradient_by_layer import FEW, LONGEST, gradient_by_layer, png, title

FALLING = [1e-6, 1e-4, 1e-2]


def axes_of(profiles, **options):
    return gradient_by_layer(profiles, **options).axes[0]


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_one_line_per_step_through_every_layer():
    axes = axes_of({0: FALLING, 50: [1.0, 2.0, 3.0]})
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0, 1, 2]] * 2
    assert axes.lines[0].get_ydata().tolist() == FALLING
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "layer index (0 is next to the input)"
    assert axes.get_ylabel() == "gradient norm: L2 norm of dL/dh"


def test_the_verdict_is_the_title():
    figure = gradient_by_layer({0: FALLING}, subtitle="act=sigmoid")
    assert words(figure) == [
        "profile: vanishing",
        "at step 0 layer 0 receives 0.0001 of layer 2's gradient: 0.01 per layer",
        "act=sigmoid",
    ]


def test_a_number_that_is_not_finite_comes_first():
    assert title({0: FALLING, 50: [1.0, math.nan, 1.0], 100: [math.nan] * 3}) == (
        "non_finite",
        "at step 50 the gradient of layer 1 is not a finite number",
    )


def test_what_cannot_be_drawn_leaves_a_gap():
    (line,) = axes_of({0: [1.0, 0.0, None, math.inf, 2.0]}).lines
    assert [math.isnan(y) for y in line.get_ydata()] == [False, True, True, True, False]


def test_few_steps_are_named_and_many_have_a_scale():
    few = gradient_by_layer(dict.fromkeys(range(FEW), FALLING))
    assert [text.get_text() for text in few.axes[0].get_legend().get_texts()] == [f"step {s}" for s in range(FEW)]
    many = gradient_by_layer({10 * step: FALLING for step in range(FEW + 1)})
    assert many.axes[0].get_legend() is None
    assert many.axes[1].get_ylabel() == "step"
    assert many.axes[1].get_ylim() == (0, 80)


def test_many_steps_are_all_there():
    """The first and the last as lines of their own, those between as one artist."""
    profiles = {10 * step: [norm * 2**step for norm in FALLING] for step in range(FEW + 4)}
    axes = axes_of(profiles)
    assert [line.get_ydata().tolist() for line in axes.lines] == [profiles[0], profiles[110]]
    between = axes.collections[0].get_segments()
    assert [segment[:, 1].tolist() for segment in between] == [profiles[10 * step] for step in range(1, FEW + 3)]
    low, high = axes.get_ylim()
    assert low < 1e-6
    assert high > 1e-2 * 2**11


def test_the_axis_holds_what_lies_between_the_first_and_the_last():
    profiles = {step: [1.0, 1.0] for step in range(FEW + 2)} | {3: [1e-9, 1e9]}
    low, high = axes_of(profiles).get_ylim()
    assert low < 1e-9 < 1e9 < high


def test_a_single_layer_is_seen_at_every_step():
    axes = axes_of({step: [0.1 * step] for step in range(1, FEW + 3)})
    dots = axes.collections[1].get_offsets()[:, 1].tolist()
    assert [0.1, *dots, 0.1 * (FEW + 2)] == pytest.approx([0.1 * step for step in range(1, FEW + 3)])
    assert all(tick == int(tick) for tick in axes.get_xticks())  # layers have no halves


@pytest.mark.parametrize("stride", [1, 1000, 99_000, 10_000_000])
@pytest.mark.parametrize("norms", [[0.2, 0.21], [1e-12, 2e-12], [1e-20, 1.0], [3e8, 4e8]])
def test_every_word_is_inside_the_picture(norms, stride):
    figure = gradient_by_layer({step * stride: norms for step in range(FEW + 1)})
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        box = axes.get_tightbbox(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


def test_limits_are_kept():
    assert axes_of({0: FALLING}, limits=(1e-15, 1e4)).get_ylim() == (1e-15, 1e4)


def test_a_long_subtitle_is_cut():
    assert words(gradient_by_layer({0: FALLING}, subtitle="x" * 300))[2] == "x" * (LONGEST - 3) + "..."


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="expected at least one measured step; got none"):
        gradient_by_layer({})


def test_png():
    assert png(gradient_by_layer({0: FALLING})).startswith(b"\x89PNG")


def test_a_single_layer_and_a_thousand():
    for depth in (1, 1000):
        png(gradient_by_layer({0: [1.0] * depth, 5: [0.0] * depth}), dpi=30)
