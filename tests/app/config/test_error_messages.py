"""Errors in one line, with the closest names."""

from gradvitals.app.config.error_messages import explain
from gradvitals.errors import closest


def test_closest_come_first():
    assert closest("lrr", ["momentum", "weight_decay", "lr"]) == "lr, momentum, weight_decay"


def test_unknown_errors_name_their_type_and_the_way_to_the_traceback():
    assert explain(ValueError("a\nb")) == "a b"
    assert explain(KeyError("x")) == "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows the traceback)"
