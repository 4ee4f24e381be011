from __future__ import annotations

import numpy as np
import pytest

from fill.simulate.caches import hits
from fill.simulate.sampling import sample, whole


def requests() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    weights = 1 / np.arange(1, 5001) ** 0.9
    return rng.choice(5000, 200_000, p=weights / weights.sum()), rng.integers(10**9, 10**10, 5000)


def test_few_requests_are_all_of_them() -> None:
    files, size = requests()
    made = sample(files[:100], size, 10**12, 100, np.random.default_rng(1))
    assert made.is_all
    assert made.capacity == 10**12


@pytest.mark.parametrize("policy", ["lru", "sieve"])
def test_a_fifth_of_the_requests_tells_the_offload_within_a_hundredth(policy: str) -> None:
    files, size = requests()
    capacity, hours = int(size.sum() * 0.2), np.zeros(len(files), int)
    amounts = size[files].astype(float)
    everything = (amounts * hits(policy, capacity, files, size[files])).sum() / amounts.sum()
    made = sample(files, size, capacity, 40_000, np.random.default_rng(1))
    asked = files[made.requests]
    found = whole(hits(policy, made.capacity, asked, size[asked]), made, files, amounts, hours, 1)[0] / amounts.sum()
    assert 20_000 < made.requests.sum() < 60_000
    assert found == pytest.approx(everything, abs=0.01)
