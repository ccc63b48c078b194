import math

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gradvitals.report.pictures.canvas import png
from gradvitals.report.pictures.gradient_by_layer import FEW, LONGEST, gradient_by_layer
from gradvitals.report.profile_title import title

FALLING = [1e-6, 1e-4, 1e-2]


def axes_of(profiles, **options):
    return gradient_by_layer(profiles, **options).axes[0]


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_one_line_per_step_through_every_layer():
    axes = axes_of({0: FALLING, 50: [1.0, 2.0, 3.0]})
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0, 1, 2]] * 2
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([1e-4, 1e-2, 1.0])
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "layer index (0 is next to the input)"
    assert axes.get_ylabel() == "dL/dh over the last layer's at the same step"


def test_a_gradient_that_shrinks_in_all_layers_alike_keeps_its_shape_and_its_size_is_drawn_beside_it():
    """As the loss of a healthy run falls to 0, and all gradients with it."""
    profiles = {10 * step: [2 * 10.0**-step, 10.0**-step] for step in range(4)}
    shape, sizes = gradient_by_layer(profiles, {0: 2.3, 30: 0.002}).axes
    assert [line.get_ydata().tolist() for line in shape.lines] == [[2.0, 1.0]] * 4
    assert sizes.collections[0].get_offsets().tolist() == [[10.0 * step, 10.0**-step] for step in range(4)]
    assert sizes.lines[0].get_xydata().tolist() == [[0, 2.3], [30, 0.002]]
    assert [text.get_text() for text in sizes.get_legend().get_texts()] == ["dL/dh of the last layer", "loss"]


def test_an_even_profile_is_in_the_middle_of_the_axis():
    """Which ends where a gradient vanishes or explodes, so that a factor of three does not look steep."""
    low, high = axes_of({0: [3.0, 1.0]}).get_ylim()
    assert (low, high) == (0.005, 200.0)
    assert axes_of({0: [1e9, 1.0]}).get_ylim() == (0.005, 2e9)


def test_a_run_without_losses_has_no_line_of_them():
    assert gradient_by_layer({0: FALLING}, {0: math.nan, 1: -2.0}).axes[1].lines[:] == []


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
    (line,) = axes_of({0: [0.0, None, math.nan]}).lines
    assert all(map(math.isnan, line.get_ydata()))


def test_many_steps_are_all_there():
    """The first and the last as lines of their own, those between as one artist."""
    profiles = {10 * step: [2.0**step, 1.0] for step in range(FEW + 4)}
    axes = axes_of(profiles)
    assert [line.get_ydata().tolist() for line in axes.lines] == [profiles[0], profiles[110]]
    between = axes.collections[0].get_segments()
    assert [segment[:, 1].tolist() for segment in between] == [profiles[10 * step] for step in range(1, FEW + 3)]


def test_the_axis_holds_what_lies_between_the_first_and_the_last():
    profiles = {step: [1.0, 1.0] for step in range(FEW + 2)} | {3: [1e-9, 1.0], 4: [1e9, 1.0]}
    low, high = axes_of(profiles).get_ylim()
    assert low < 1e-9 < 1e9 < high


def test_the_size_of_a_single_layer_is_seen_at_every_step():
    axes, sizes = gradient_by_layer({step: [0.1 * step] for step in range(1, FEW + 3)}).axes
    dots = sizes.collections[0].get_offsets()[:, 1].tolist()
    assert dots == pytest.approx([0.1 * step for step in range(1, FEW + 3)])
    assert all(tick == int(tick) for tick in axes.get_xticks())  # layers have no halves


@pytest.mark.parametrize("stride", [1, 1000, 99_000, 10_000_000])
@pytest.mark.parametrize("norms", [[0.2, 0.21], [1e-12, 2e-12], [1e-20, 1.0], [3e8, 4e8]])
def test_every_word_is_inside_the_picture(norms, stride):
    profiles = {step * stride: norms for step in range(FEW + 1)}
    figure = gradient_by_layer(profiles, dict.fromkeys(profiles, 2.3))
    renderer = FigureCanvasAgg(figure).get_renderer()
    left, right = (axes.get_tightbbox(renderer) for axes in figure.axes)
    assert 0 <= left.x0 < left.x1 < right.x0 < right.x1 <= figure.bbox.width
    assert right.y1 < figure.texts[1].get_window_extent(renderer).y0  # the legend is below the sentence


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
