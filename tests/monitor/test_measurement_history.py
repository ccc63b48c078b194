import itertools
import json
import math

from gradvitals.monitor.measurement_history import MeasurementHistory


def add(history: MeasurementHistory, step: int, label: str = "00.net", **totals: float) -> None:
    history.add(step, {"activation_grad_norm": {label: float(step)}, "grad_norm": {label: 2.0 * step}}, totals)


def filled(steps: int, most: int = 8) -> MeasurementHistory:
    history = MeasurementHistory(most)
    for step in range(steps):
        add(history, step, total=1.0)
    return history


def test_memory_is_bounded_and_the_rest_is_even():
    assert list(filled(8).values) == list(range(8))
    assert list(filled(9).values) == [0, 2, 4, 6, 8]
    steps = list(filled(1000).values)
    assert len(steps) <= 8
    assert steps[0] == 0
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1


def test_it_goes_on_from_a_checkpoint():
    whole, begun = filled(60), filled(23)
    continued = MeasurementHistory(8)
    continued.load_state_dict(begun.state_dict())
    for step in range(23, 60):
        add(continued, step, total=1.0)
    assert list(continued.rows()) == list(whole.rows())


def test_a_checkpoint_of_when_only_profiles_were_kept_is_read():
    old = {"values": {0: {"00.net": 1.0}, 2: {"00.net": 3.0}}, "seen": 3, "stride": 2}
    history = MeasurementHistory(8)
    history.load_state_dict(old)
    add(history, 3)
    add(history, 4)
    assert history.values == {0: {"00.net": 1.0}, 2: {"00.net": 3.0}, 4: {"00.net": 4.0}}
    assert history.of("grad_norm") == {0: {}, 2: {}, 4: {"00.net": 8.0}}


def test_numbers_keep_every_bit_and_what_is_missing_is_not_nan():
    history, again = MeasurementHistory(), MeasurementHistory()
    numbers = {"01.b": math.nan, "02.c": math.inf, "03.d": 5e-324, "04.e": 0.1}
    history.add(0, {"grad_norm": numbers}, {})
    history.add(1, {"grad_norm": {"00.a": 1.0}, "dead_fraction": {}}, {"clip/coefficient": 0.5})
    again.load_state_dict(history.state_dict())
    found = again.of("grad_norm")[0]
    assert math.isnan(found.pop("01.b"))
    assert found == {label: number for label, number in numbers.items() if label != "01.b"}
    assert list(again.rows())[4:] == [(1, "00.a", "grad_norm", 1.0), (1, None, "clip/coefficient", 0.5)]


def test_two_optimizers_share_a_step():
    history = MeasurementHistory()
    history.add(0, {"activation_grad_norm": {"a": 1.0}}, {"grad_norm/total.0": 1.0})
    history.add(0, {"activation_grad_norm": {"b": 2.0}, "grad_norm": {"b": 3.0}}, {"grad_norm/total.1": 2.0})
    assert history.values == {0: {"a": 1.0, "b": 2.0}}
    assert history.of("grad_norm") == {0: {"b": 3.0}}
    assert history.total("grad_norm/total.0") | history.total("grad_norm/total.1") == {0: 2.0}


def test_thinning_keeps_the_layers_of_both():
    history = MeasurementHistory(most=3)
    for step in range(20):
        add(history, step, "a")
        add(history, step, "b")
    assert all(set(values) == {"a", "b"} for values in history.values.values())


def test_a_checkpoint_of_it_grows_by_a_few_objects_for_each_step():
    """A checkpoint calls a Python function for each object in it, so that its numbers are in one string for a step."""

    def objects(value) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(map(objects, inside))

    def state(layers: int, steps: int):
        history = MeasurementHistory()
        for step in range(steps):
            numbers = {f"{layer:03d}.net": 0.1 for layer in range(layers)}
            history.add(step, {f"quantity {i}": numbers for i in range(12)}, {})
        return history.state_dict()

    assert objects(state(30, 256)) - objects(state(30, 1)) == 255 * 3
    assert len(json.dumps(state(30, 256))) < 256 * 30 * 12 * 11 + 20_000  # bytes: eight for a number, as base64
