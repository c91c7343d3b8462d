"""One scrape: the change families and the exporter's own health as one page, in the form the scraper asked for.

Must never fail for what a label holds, never ask the API server anything, and never keep the event loop for longer
than it takes to join finished lines: the rest is done in a thread.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from isal import igzip
from msgspec import Struct
from prometheus_client import exposition as classic
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics_1
from prometheus_client.registry import Collector

from exporter.metrics.series import label_value


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.samples import Sample

    from exporter.metrics.families import Families
    from exporter.metrics.health import Health


TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_GZIP_LEVEL = 1  # isal's level 1 has zlib's ratio of 9 on such pages, thirty times as fast
_WEIGHT = re.compile(r"0(?:\.\d*)?|1(?:\.0*)?|\.\d+", re.ASCII)


class Page(Struct, frozen=True):
    """The answer to a scrape; `encoding` is the Content-Encoding, empty where there is none."""

    body: bytes
    content_type: str
    encoding: str


class Exposition:
    """Makes pages.

    Args:
        families: those of the product
        health: the exporter's own metrics

    """

    def __init__(self, families: Families, health: Health) -> None:
        self._families = families
        self._health = _Clean(health.registry)
        self._turn = asyncio.Lock()

    async def scrape(self, accept: str = "", accept_encoding: str = "") -> Page:
        """Render a page as the two headers of the same names ask for it.

        One page is rendered at a time, so that many scrapers at once take no more of the processor than one.
        """
        openmetrics = wants_openmetrics(accept)
        compress = wants_gzip(accept_encoding)
        async with self._turn:
            families = self._families.render(openmetrics=openmetrics)
            body = await asyncio.to_thread(self._complete, families, openmetrics=openmetrics, compress=compress)
        return Page(body, OPENMETRICS if openmetrics else TEXT, "gzip" if compress else "")

    def _complete(self, families: bytes, *, openmetrics: bool, compress: bool) -> bytes:
        render: Callable[[Collector], bytes] = openmetrics_1.generate_latest if openmetrics else classic.generate_latest
        page = families + render(self._health)
        return igzip.compress(page, _GZIP_LEVEL, mtime=0) if compress else page


class Front(Exposition):
    """The page of whatever is running now; before the first there is one, a scrape waits."""

    def __init__(self) -> None:
        self._shown: Exposition | None = None
        self._there = asyncio.Event()

    def show(self, page: Exposition) -> None:
        """Answer with this page from now on."""
        self._shown = page
        self._there.set()

    async def scrape(self, accept: str = "", accept_encoding: str = "") -> Page:
        """Render a page as `Exposition.scrape` does."""
        await self._there.wait()
        assert self._shown is not None  # noqa: S101 - it is set before the event
        return await self._shown.scrape(accept, accept_encoding)


class _Clean(Collector):
    """A registry whose label values cannot spoil a page, and which tells no `_created` series.

    Those double the page, and no Prometheus needs them. They are left out here, since prometheus-client's own switch
    is one for the whole process.
    """

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            clean = Metric(family.name, family.documentation, family.type, family.unit)
            created = f"{family.name}_created" if family.type in {"counter", "histogram", "summary"} else ""
            clean.samples = list(_clean_samples(sample for sample in family.samples if sample.name != created))
            yield clean


def _clean_samples(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Clean the labels; of samples that become equal by it the first is kept."""
    seen = set()
    for sample in samples:
        labels = {name: label_value(value) for name, value in sample.labels.items()}
        key = (sample.name, *labels.values())
        if key not in seen:
            seen.add(key)
            yield sample._replace(labels=labels)


def wants_openmetrics(accept: str) -> bool:
    """Tell whether a scraper prefers OpenMetrics 1.0 to the classic text, which is for whoever says nothing."""
    text: tuple[int, float] = (0, 0.0)
    openmetrics: tuple[int, float] = (0, 0.0)
    for media, parameters, weight in _ranges(accept):
        version = parameters.get("version", "")
        # The more specific range decides, and of equal ones the heavier.
        if (media == "text/plain" and version in {"", "0.0.4"}) or media in {"text/*", "*/*"}:
            text = max(text, (2 - media.count("*"), weight))
        elif (media == "application/openmetrics-text" and version in {"", "1.0.0"}) or media == "application/*":
            openmetrics = max(openmetrics, (2 - media.count("*"), weight))
    return openmetrics[1] > 0 and openmetrics[1] >= text[1]


def wants_gzip(accept_encoding: str) -> bool:
    """Tell whether a scraper takes gzip: named, or by `*`, and not with a weight of 0."""
    weights = {coding: weight for coding, _, weight in _ranges(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Take apart a header of weighted choices; a choice whose weight is no weight is not one."""
    for choice in header.split(","):
        name, *rest = choice.split(";")
        parameters = {}
        for parameter in rest:
            key, _, value = parameter.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"')
        weight = parameters.get("q", "1")
        if _WEIGHT.fullmatch(weight):
            yield name.strip().lower(), parameters, float(weight)
