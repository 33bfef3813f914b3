import itertools
import threading

import pytest

from mmotion.inference.fan_out import ALL_ITEMS, CHUNK_ITEMS, fan_out


def double(item):
    return 2 * item


def keep(item):
    return item


@pytest.mark.parametrize('length', [0, 1, CHUNK_ITEMS, 5 * CHUNK_ITEMS + 3])
def test_each_reader_gets_its_view_of_all_items(length):
    answers = fan_out(iter(range(length)), [keep, double, str], list)
    expected = list(range(length))
    assert answers == [expected, [2 * i for i in expected], [str(i) for i in expected]]


def test_items_are_taken_once_and_few_wait():
    taken, ahead = [], []

    def take(item):
        taken.append(item)
        return item

    def read(items):
        ahead.extend(len(taken) - item for item in items)

    fan_out(map(take, range(1000)), [keep, keep, keep], read)
    assert taken == list(range(1000))
    # with each reader, in its queue, and on the way to it
    assert max(ahead) <= 3 * CHUNK_ITEMS


def test_fewer_wait_for_each_of_many_readers():
    taken, ahead = [], []

    def take(item):
        taken.append(item)
        return item

    def read(items):
        ahead.extend(len(taken) - item for item in items)
        return len(ahead)

    num_views = ALL_ITEMS // 2
    assert len(fan_out(map(take, range(20)), [keep] * num_views, read)) == num_views
    assert len(ahead) == 20 * num_views
    assert max(ahead) <= 3 * 2


def test_one_reader_computes_at_a_time():
    running, most = 0, 0

    def read(items):
        nonlocal running, most
        for _ in items:
            running += 1
            most = max(most, running)
            threading.Event().wait(0.001)
            running -= 1

    fan_out(range(30), [keep] * 4, read)
    assert most == 1


@pytest.mark.parametrize('wanted', [0, 1, CHUNK_ITEMS, CHUNK_ITEMS + 1])
def test_a_reader_may_stop_early(wanted):
    def read(items):
        first = next(items, None)
        return list(itertools.islice(items, wanted)) if first == 0 else sum(items)

    stops, goes_on = fan_out(range(100), [keep, lambda item: item + 1], read)
    assert stops == list(range(1, wanted + 1))
    assert goes_on == sum(range(2, 101))


def test_an_error_of_a_reader_ends_all():
    taken = []

    def read(items):
        for item in items:
            if item == -3:
                raise ValueError('item -3 is bad')

    with pytest.raises(ValueError, match='item -3 is bad'):
        fan_out(map(taken.append, itertools.count()), [lambda _: 1, lambda _: -3], read)
    # an endless source is left alone
    assert len(taken) <= 10 * CHUNK_ITEMS


@pytest.mark.parametrize('error', [OSError('broken file'), KeyboardInterrupt()])
def test_an_error_of_the_source_ends_all(error):
    finished = []

    def source():
        yield from range(20)
        raise error

    def read(items):
        finished.append(list(items))

    others = set(threading.enumerate())
    with pytest.raises(type(error)):
        fan_out(source(), [keep, keep], read)
    # half of the items is not taken for all of them
    assert finished == []
    assert set(threading.enumerate()) <= others


def test_an_error_of_a_view_ends_all():
    with pytest.raises(ZeroDivisionError):
        fan_out(range(20), [keep, lambda item: 1 // (item - 9)], list)
