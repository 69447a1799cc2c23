"""`/metrics` for Prometheus: what came in, what is kept, what went out.

Invariant: labels come from closed lists, so that no request makes a new time series.
"""

import time
from collections.abc import Iterator
from contextlib import suppress

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vimha.alarms.delivery.delivery import Delivery
from vimha.alarms.service.context import Here
from vimha.alarms.service.stream import Streams
from vimha.alarms.store.errors import StoreError
from vimha.alarms.store.store import Store

RESOURCES = frozenset(
    {"alarms", "subscriptions", "events", "alertmanager", "pacemaker", "history", "nodes", "stream", "api_versions",
     "alarmServiceConfiguration", "healthz", "metrics", "openapi.json"}
)  # fmt: skip
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
router = APIRouter(tags=["operation"])


class Metrics:
    """The service's figures."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vimha_alarms_http_requests", "Requests answered.", ["resource", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "vimha_alarms_http_seconds", "Until an answer began.", ["resource", "method"], buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.events = Counter("vimha_alarms_events", "Events taken in.", registry=self.registry)
        waiting = Gauge("vimha_alarms_events_waiting", "Events that wait for their commit.", registry=self.registry)
        waiting.set_function(lambda: store.waiting)

    def watch(self, store: Store, delivery: Delivery, streams: Streams) -> None:
        """Show what runs beside the service too."""
        self.registry.register(_Beside(store, delivery, streams))


class _Beside(Collector):
    def __init__(self, store: Store, delivery: Delivery, streams: Streams) -> None:
        self._store, self._delivery, self._streams = store, delivery, streams

    def collect(self) -> Iterator[Metric]:
        delivery, counters = self._delivery, self._delivery.counters
        gauges = {
            "senders": ("Addressees that this node sends to.", delivery.senders),
            "dead": ("Those of them that are given up until they answer.", delivery.dead),
            "waiting": ("Notifications that were read and are not delivered yet.", delivery.waiting),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(f"vimha_alarms_delivery_{name}", about, value)
        sums = {
            "delivered": ("Notifications that were taken.", counters.delivered),
            "failed": ("Calls that were not taken.", counters.failed),
            "passed_over": ("Notifications of which a later one said more.", counters.passed_over),
            "died": ("Addressees that were given up.", counters.died),
            "revived": ("Addressees that answered again.", counters.revived),
            "delay_seconds": ("From commits to answers, summed up.", counters.delay_s),
        }
        for name, (about, total) in sums.items():
            yield CounterMetricFamily(f"vimha_alarms_delivery_{name}", about, total)
        with suppress(StoreError):
            active = GaugeMetricFamily("vimha_alarms_active", "Active alarms.", labels=["severity", "ack"])
            for (severity, ack), count in self._store.counts().items():
                active.add_metric([severity.value, ack.value], count)
            yield active
        yield GaugeMetricFamily("vimha_alarms_streams", "Open streams of consoles.", self._streams.open)
        aged = CounterMetricFamily("vimha_alarms_aged", "Rows removed for their age or number.", labels=["table"])
        for table, rows in self._store.aged.items():
            aged.add_metric([table], rows)
        yield aged


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(here: Here) -> Response:
    """The figures, in Prometheus' text format."""
    return Response(generate_latest(here.metrics.registry), media_type=CONTENT_TYPE_LATEST)


class Count:
    """ASGI: counts answers and times their beginning."""

    def __init__(self, app: ASGIApp, figures: Metrics) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, resource = time.perf_counter(), _resource(scope["path"])
        method = scope["method"] if scope["method"] in METHODS else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._figures.requests.labels(resource, method, str(message["status"])).inc()
                self._figures.seconds.labels(resource, method).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


def _resource(path: str) -> str:
    return next((step for step in path.split("/", 4)[1:4] if step in RESOURCES), "other")
