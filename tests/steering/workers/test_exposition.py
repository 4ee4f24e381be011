"""Several workers' metrics as one text, read by the parser that Prometheus' own client has."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from steering.workers.exposition import merge


def told(polls: int, first: str = "origin") -> bytes:
    registry = CollectorRegistry()
    Counter("polls", "Answered.", ("format", "first"), registry=registry).labels("hls", first).inc(polls)
    Gauge("lag", "How late.", registry=registry).set(0.5)
    Histogram("rate", "Bits.", buckets=(1, 2), registry=registry).observe(1)
    return generate_latest(registry)


def test_each_sample_says_whose_it_is_and_each_family_is_there_once() -> None:
    families = {one.name: one for one in text_string_to_metric_families(merge({0: told(3), 1: told(4)}).decode())}
    assert {name: one.type for name, one in families.items() if "created" not in name} == {
        "polls": "counter",
        "lag": "gauge",
        "rate": "histogram",
        "nearcast_steering_worker_up": "gauge",
    }
    polls = {one.labels["worker"]: one.value for one in families["polls"].samples if one.name == "polls_total"}
    assert polls == {"0": 3, "1": 4}
    assert families["polls"].samples[0].labels == {"worker": "0", "format": "hls", "first": "origin"}
    assert len([one for one in families["rate"].samples if one.name == "rate_bucket"]) == 6


def test_a_worker_that_says_nothing_is_down_and_takes_nobody_with_it() -> None:
    families = {one.name: one for one in text_string_to_metric_families(merge({0: told(3), 1: None}).decode())}
    up = {one.labels["worker"]: one.value for one in families["nearcast_steering_worker_up"].samples}
    assert up == {"0": 1, "1": 0}
    assert len(families["lag"].samples) == 1


def test_labels_of_any_text_stay_as_they_are() -> None:
    families = {one.name: one for one in text_string_to_metric_families(merge({7: told(1, 'a"{},b\\')}).decode())}
    assert families["polls"].samples[0].labels == {"worker": "7", "format": "hls", "first": 'a"{},b\\'}


def test_what_a_label_says_is_no_end_of_a_line() -> None:
    text = b'# HELP x What.\n# TYPE x gauge\nx{site="a\rb"} 1\n'
    assert b'x{worker="0",site="a\rb"} 1\n' in merge({0: text})
