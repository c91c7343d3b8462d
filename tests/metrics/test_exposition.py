"""A scrape: which form it takes, the whole page word for word, and that no label can spoil it."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.changes import ChangeMetrics
from exporter.metrics.exposition import OPENMETRICS, TEXT, Exposition, wants_gzip, wants_openmetrics
from exporter.metrics.health import Health
from exporter.metrics.series import label_value
from tests.metrics.product import product
from tests.servers.launch import promtool


if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.metrics.families import Families

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
MEANS = "Versions of custom resources seen, by what the watch said and by what it means."
WIDGETS = 'customresource_group="example.com",customresource_kind="Widget"'


class FewOwn:
    """Stands for `Health` with one metric of each sort, so that the page is known word for word."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Info("own_build", "A build.", registry=self.registry).info({"version": "1"})
        Counter("own_things", "Things.", ["reason"], registry=self.registry).labels("x").inc()
        Gauge("own_size", "A size.", registry=self.registry).set(2.5)
        Histogram("own_seconds", "A time.", buckets=(1.0,), registry=self.registry).observe(0.5)


def exposition(families: Families, health: object) -> Exposition:
    """Make the page's maker from stand-ins."""
    return Exposition(families, cast("Health", health))


def some_changes() -> Families:
    """Make the change families with one object and one total that came from the journal."""
    metrics = ChangeMetrics()
    metrics.restore(
        {
            ("customresource_changes_total", "example.com", "Widget", 'a"b\\c\nd', "modified", "spec"): 3.0,
            ("customresource_last_change_timestamp_seconds", "example.com", "Widget", 'a"b\\c\nd', "spec"): 1.25e9
            + 0.5,
        }
    )
    metrics.objects("example.com", "Widget", 'a"b\\c\nd', 2)
    return product(metrics)


def golden(*, openmetrics: bool) -> str:
    """Give the whole page for `some_changes` and `FewOwn`."""
    total = "" if openmetrics else "_total"
    place = WIDGETS + r',namespace="a\"b\\c\nd"'
    counts = {
        ("added", "created"): 0, ("added", "recreated"): 0, ("deleted", "deleted"): 0, ("modified", "deleting"): 0,
        ("modified", "metadata"): 0, ("modified", "noop"): 0, ("modified", "ownership"): 0, ("modified", "schema"): 0,
        ("modified", "spec"): 3, ("modified", "status"): 0,
    }  # fmt: skip
    lines = [
        f"# HELP customresource_changes{total} {MEANS}",
        f"# TYPE customresource_changes{total} counter",
        *(
            f'customresource_changes_total{{{place},event="{event}",change="{change}"}} {count}'
            for (event, change), count in counts.items()
        ),
        f"# HELP customresource_spec_changes{total} Changes of the desired state, by the class of who wrote it.",
        f"# TYPE customresource_spec_changes{total} counter",
        *(
            f'customresource_spec_changes_total{{{place},writer_class="{one}"}} 0'
            for one in ("controller", "gitops", "human", "unknown")
        ),
        "# HELP customresource_objects Custom resources that exist.",
        "# TYPE customresource_objects gauge",
        f"customresource_objects{{{place}}} 2",
        "# HELP customresource_last_change_timestamp_seconds When a change of this sort was last seen.",
        "# TYPE customresource_last_change_timestamp_seconds gauge",
        f'customresource_last_change_timestamp_seconds{{{place},change="spec"}} 1250000000.5',
        *(
            line
            for part in product().of_objects.values()
            for line in part.render(openmetrics=openmetrics).decode().splitlines()
        ),
        f"# HELP own_build{'' if openmetrics else '_info'} A build.",
        f"# TYPE own_build{'' if openmetrics else '_info'} {'info' if openmetrics else 'gauge'}",
        'own_build_info{version="1"} 1.0',
        f"# HELP own_things{total} Things.",
        f"# TYPE own_things{total} counter",
        'own_things_total{reason="x"} 1.0',
        "# HELP own_size A size.",
        "# TYPE own_size gauge",
        "own_size 2.5",
        "# HELP own_seconds A time.",
        "# TYPE own_seconds histogram",
        'own_seconds_bucket{le="1.0"} 1.0',
        'own_seconds_bucket{le="+Inf"} 1.0',
        "own_seconds_count 1.0",
        "own_seconds_sum 0.5",
        *(["# EOF"] if openmetrics else []),
    ]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        (BROWSER, False),
        ("text/plain", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=0.5, text/plain", False),
        ("application/openmetrics-text;q=0.5, */*;q=0.6", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/vnd.google.protobuf", False),
        (";;,,=;q", False),
        (PROMETHEUS, True),
        ("application/openmetrics-text", True),
        ('Application/OpenMetrics-Text; Version="1.0.0"; Q=0.3, text/plain;q=0.2', True),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("text/plain;q=0.3, */*, application/openmetrics-text;q=0.4", True),
    ],
)
def test_the_form_is_the_one_asked_for(accept: str, expected: bool) -> None:
    """Weights and versions of Accept are heeded; whoever asks for nothing that we have gets the classic text."""
    assert expected == wants_openmetrics(accept)


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("br, zstd", False),
        ("*;q=0", False),
        ("gzip", True),
        ("deflate, GZip ; q=0.1", True),
        ("*", True),
    ],
)
def test_gzip_is_for_who_asks(accept_encoding: str, expected: bool) -> None:
    """A weight of 0 refuses, `*` takes anything."""
    assert expected == wants_gzip(accept_encoding)


@pytest.mark.parametrize(
    ("accept", "content_type", "openmetrics"), [("", TEXT, False), (PROMETHEUS, OPENMETRICS, True)]
)
async def test_the_whole_page(accept: str, content_type: str, openmetrics: bool) -> None:
    """Both forms, word for word, without any `_created`, and readable to a strict parser."""
    page = await exposition(some_changes(), FewOwn()).scrape(accept)
    assert (golden(openmetrics=openmetrics), content_type, "") == (page.body.decode(), page.content_type, page.encoding)
    parse: Callable[[str], Any] = parse_openmetrics if openmetrics else parse_text
    assert len(list(parse(page.body.decode()))) == 21


async def test_gzip_holds_the_same_page() -> None:
    """Compressed or not, the page is the same."""
    pages = exposition(some_changes(), FewOwn())
    page = await pages.scrape("", "gzip")
    assert ("gzip", golden(openmetrics=False)) == (page.encoding, gzip.decompress(page.body).decode())


@pytest.mark.parametrize("accept", ["", PROMETHEUS])
async def test_labels_of_our_own_that_become_equal_are_told_once(accept: str) -> None:
    """Half characters and long values in the exporter's own metrics neither fail the page nor repeat a series."""
    health = Health()
    for kind in ("\ud800", "\udfff", "x" * 200, "x" * 201):
        health.watch_synced.labels("example.com", kind).set(1)
    body = (await exposition(product(), health).scrape(accept)).body.decode()
    parse: Callable[[str], Any] = parse_openmetrics if accept else parse_text
    (family,) = [one for one in parse(body) if one.name == "customresource_exporter_watch_synced"]
    assert [sample.labels["customresource_kind"] for sample in family.samples] == ["\ufffd", "x" * 128]


@pytest.mark.parametrize("accept", ["", PROMETHEUS])
@given(values=st.lists(st.tuples(*[st.text(st.characters(exclude_categories=()), max_size=50)] * 2), max_size=3))
@settings(deadline=None, max_examples=50)
def test_any_text_in_a_label_of_our_own_comes_back(accept: str, values: list[tuple[str, str]]) -> None:
    """What a strict parser reads is what was put in, made harmless."""
    few = FewOwn()
    gauge = Gauge("own_types", "Types.", ["group", "kind"], registry=few.registry)
    for group, kind in values:
        gauge.labels(group, kind).set(1)
    body = asyncio.run(exposition(product(), few).scrape(accept)).body.decode()
    parse: Callable[[str], Any] = parse_openmetrics if accept else parse_text
    (family,) = [one for one in parse(body) if one.name == "own_types"]
    assert {(label_value(group), label_value(kind)) for group, kind in values} == {
        (sample.labels["group"], sample.labels["kind"]) for sample in family.samples
    }


async def test_many_scrapes_at_once_get_the_same() -> None:
    """Scrapes wait for each other and none of them gets half a page."""
    pages = exposition(some_changes(), FewOwn())
    found = await asyncio.gather(*(pages.scrape("") for _ in range(20)))
    assert {golden(openmetrics=False)} == {page.body.decode() for page in found}


async def test_promtool_finds_nothing_to_say() -> None:
    """The real promtool reads the page, with the exporter's own metrics, and has no advice."""
    page = await exposition(some_changes(), Health()).scrape("")
    verdict = await asyncio.to_thread(promtool, "check", "metrics", stdin=page.body)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, b"", b"")
