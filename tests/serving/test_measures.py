from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from mmotion.serving.measures import measure


def test_the_numbers_are_read_by_prometheus():
    engine = SimpleNamespace(
        count=lambda: {'queued': 2, 'done': 1},
        count_bytes=lambda: 4096,
        totals={('repnet_small', 'done'): (3, 7.5)},
        num_crashes=1,
    )
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(measure(engine).decode())
        for sample in family.samples
    }
    assert found == {
        ('mmotion_jobs', 'queued'): 2,
        ('mmotion_jobs', 'done'): 1,
        ('mmotion_jobs_ended_total', 'repnet_small', 'done'): 3,
        ('mmotion_work_seconds_total', 'repnet_small', 'done'): 7.5,
        ('mmotion_stored_bytes',): 4096,
        ('mmotion_worker_crashes_total',): 1,
    }
