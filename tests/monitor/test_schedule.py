"""Which steps are measured."""

import math

from gradvitals.monitor.schedule import Cadence


def test_nothing_enters_the_median_that_is_not_finite():
    cadence = Cadence(every_n_steps=1)
    for total in (1.0, 1.0, math.nan, 1.0, math.inf, 1.0, 1.0):
        cadence.step_taken()
        cadence.note(total)
    assert cadence.recent == [1.0] * 5


def test_a_few_totals_tell_no_spike():
    cadence = Cadence(every_n_steps=100, first_steps=0)
    for total in (1.0, 1.0, 1.0, 1.0, 100.0):
        cadence.step_taken()
        cadence.note(total)
    assert cadence.dense_until == 0
    cadence.step_taken()
    cadence.note(8.1)
    assert cadence.dense_until == 6 + cadence.spike_steps
