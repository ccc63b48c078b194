"""What several processes tell each other in the one collective call, by hand."""

from collections import Counter

import pytest
import torch

from gradvitals.distributed.collectives import Collectives
from gradvitals.monitor.collectors.batch_statistics import BatchStatistics
from gradvitals.monitor.collectors.non_finite import NonFiniteGuard
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.vitals import NonFinite


class Recorded(Readings):
    """Keeps what would be added up, and lets the sum be told afterwards."""

    def add_shares(self, values, finish):
        self.values, self.finish = values, finish


def agreed(*batches, outputs=None) -> list[BatchStatistics]:
    """One for each process that saw one batch."""
    facts, told = [], []
    for rank, batch in enumerate(batches):
        processes = Collectives(number=len(batches), rank=rank)
        facts.append(BatchStatistics(batches=3, processes=processes))
        facts[-1].measured_batch_begins(batch)
        told.append(Recorded(processes))
        facts[-1].share(told[-1], outputs)
    whole = sum(one.values for one in told)
    for one in told:
        one.finish(whole.tolist())
    return facts


def batch(size: float, *labels: int):
    return torch.full((len(labels), 2), size), torch.tensor(labels)


def test_labels_are_counted_over_all_processes():
    for facts in agreed(batch(1.0, 0, 0, 1), batch(3.0, 1, 2, 2), outputs=3):
        assert facts._known.labels == Counter({0: 2, 1: 2, 2: 2})
        assert facts.features == pytest.approx(3.0)
        assert facts.faults() == []


def test_labels_are_of_one_class_only_where_they_are_in_every_process():
    alike = batch(1.0, *[0] * 300)
    for facts in agreed(alike, alike, outputs=3):
        assert facts.faults() == ["all of the first 600 labels are 0"]
    for facts in agreed(alike, batch(1.0, *[7] * 300), outputs=3):
        assert facts.faults() == []


def test_inputs_that_are_not_finite_in_one_process_too():
    for facts in agreed(batch(1.0, 0), batch(float("nan"), 0), outputs=2):
        assert not facts.is_finite
        assert facts.features == pytest.approx(1.0)


def test_what_comes_first_is_named_with_the_process_that_found_it():
    first = NonFiniteGuard._first_found
    inputs, gradient = NonFinite("batch", "inputs"), NonFinite("gradient", "net.weight")
    assert first(None, [gradient, inputs])[1] == "the inputs of the batch (in process 1)"
    assert first(None, [gradient, gradient])[1] == "the gradient of net.weight"
    assert first(None, [inputs])[1] == "the inputs of the batch"
    assert first(None, [None, None]) == (None, "nothing when the batch is repeated")
