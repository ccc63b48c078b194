"""The picture of a cure."""

import io

from matplotlib import image

from gradvitals.report.pictures.cure import Side, picture

SIDE = Side({0: [1e-6, 1e-3], 50: [1e-6, 1e-2]}, {"val/acc": [(40, 0.1)], "val/loss": [(40, 2.3)]})


def test_a_picture_of_both():
    drawn = image.imread(io.BytesIO(picture(SIDE, SIDE, ("a" * 300, "b"))))
    assert drawn.shape[:2] == (1200, 1650)
    left, right = drawn[600:1200, :825], drawn[600:1200, 825:]
    assert left.std() > 0.02
    assert right.std() > 0.02


def test_a_picture_of_a_run_that_never_validated():
    assert picture(Side({0: [1.0, 1.0]}, {}), SIDE, ("a", "b"))


def test_a_net_without_a_finite_gradient():
    assert picture(Side({0: [float("nan"), None, 0.0]}, {"val/loss": [(1, float("nan"))]}), SIDE, ("a", "b"))
