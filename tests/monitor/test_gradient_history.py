import itertools

from gradvitals.monitor.gradient_history import GradientHistory


def filled(steps: int, most: int = 8) -> GradientHistory:
    moments = GradientHistory(most)
    for step in range(steps):
        moments.add(step, {"00.net": float(step)})
    return moments


def test_memory_is_bounded_and_the_rest_is_even():
    assert list(filled(8).values) == list(range(8))
    assert list(filled(9).values) == [0, 2, 4, 6, 8]
    steps = list(filled(1000).values)
    assert len(steps) <= 8
    assert steps[0] == 0
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1


def test_it_goes_on_from_a_checkpoint():
    whole, begun = filled(60), filled(23)
    continued = GradientHistory(8)
    continued.load_state_dict(begun.state_dict())
    for step in range(23, 60):
        continued.add(step, {"00.net": float(step)})
    assert continued.values == whole.values


def test_two_optimizers_share_a_moment():
    moments = GradientHistory()
    moments.add(0, {"a": 1.0})
    moments.add(0, {"b": 2.0})
    assert moments.values == {0: {"a": 1.0, "b": 2.0}}


def test_thinning_keeps_the_layers_of_both():
    moments = GradientHistory(most=3)
    for step in range(20):
        moments.add(step, {"a": 1.0})
        moments.add(step, {"b": 2.0})
    assert all(set(values) == {"a", "b"} for values in moments.values.values())
