"""Freed memory stays with the process, so that an update does not wait for fresh pages."""

import resource

import pytest
import torch

from zoo_core.engines.memory import keep_freed_memory


def test_what_an_update_frees_costs_no_page_faults_in_the_next():
    if not keep_freed_memory():
        pytest.skip("the C library has no mallopt")

    def faults(updates):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(updates):
            torch.ones(2_000_000).add(1.0)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults(3)
    # Each of these 20 takes and frees 8 MB twice: 3,900 pages a time, if they were given back. The
    # heap may grow once more.
    assert faults(20) < 10_000
