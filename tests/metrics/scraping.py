"""Asking for a process's numbers as Prometheus does."""

import re

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[str, float]


def samples(text: str) -> Samples:
    """Every sample by its name and labels, as ``name{a="b"}``."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scrape(port: int) -> Samples:
    """The numbers of a listener."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, verify=False)
    assert answer.status_code == 200
    return samples(answer.text)


def growth(before: Samples, after: Samples, pattern: str) -> Samples:
    """By how much samples of these names grew, those that did."""
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if re.match(pattern, name) and value != before.get(name, 0)
    }
