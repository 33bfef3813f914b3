"""Numbers of a server for Prometheus."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from mmotion.serving.engine import Engine


def measure(engine: 'Engine') -> bytes:
    """The numbers of an engine, in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Collector(engine))
    return generate_latest(registry)


class _Collector:
    """Asks an engine when it is asked.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: 'Engine') -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are now."""
        engine = self._engine
        jobs = GaugeMetricFamily('mmotion_jobs', 'Jobs that are kept, by state', labels=['state'])
        for state, number in engine.count().items():
            jobs.add_metric([state], number)
        yield jobs
        names = ['model', 'state']
        ended = CounterMetricFamily('mmotion_jobs_ended', 'Jobs that have ended', labels=names)
        taken = CounterMetricFamily(
            'mmotion_work_seconds', 'Seconds of work on jobs that have ended', labels=names
        )
        for (model, state), (number, seconds) in engine.totals.items():
            ended.add_metric([model, state], number)
            taken.add_metric([model, state], seconds)
        yield from (ended, taken)
        yield GaugeMetricFamily(
            'mmotion_stored_bytes', 'Bytes of uploads and results', engine.count_bytes()
        )
        yield CounterMetricFamily(
            'mmotion_worker_crashes', 'Worker processes that crashed', engine.num_crashes
        )
