import itertools
import re
import threading
import time

import pytest

from mmotion.video.addresses import find_address, name_test_camera
from mmotion.video.receiving import (
    MIN_GAP_S,
    Counts,
    StreamClock,
    StreamLostError,
    choose_rate,
    receive,
)
from tests.cameras import Camera, RtspHandler, serve
from tests.video_files import encode


def collect(address, *, clock=None, counts=None, **options):
    options = {'stall_s': 5.0, 'stop': threading.Event(), **options}
    counts = counts or Counts()
    return list(receive(address, clock or StreamClock(), counts, **options))


def test_times_without_timestamps_are_those_of_arrival():
    clock = StreamClock()
    assert [clock.read(None, now_s) for now_s in (50.0, 50.1, 53.0)] == pytest.approx([0, 0.1, 3])


def test_the_network_s_delays_are_no_gaps():
    clock = StreamClock()
    times_s = [clock.read(stamp, now) for stamp, now in [(0, 9.0), (0.1, 12.0), (0.2, 12.0)]]
    assert times_s == pytest.approx([0, 0.1, 0.2])


@pytest.mark.parametrize('stamp_s', [4000.0, -4000.0, 4.9])
def test_timestamps_that_jump_or_go_back_are_set_anew(stamp_s):
    clock = StreamClock()
    clock.read(5.0, 100.0)
    assert clock.read(stamp_s, 100.5) == pytest.approx(0.5)
    assert clock.read(stamp_s + 0.1, 100.7) == pytest.approx(0.6)


def test_a_pipe_may_be_faster_than_real_time():
    clock = StreamClock(jump_s=float('inf'))
    assert [clock.read(stamp_s, 3.0) for stamp_s in (0.0, 60.0, 120.0)] == [0, 60, 120]
    # begun again by its writer
    assert [clock.read(s, 3.0) for s in (0.0, 1.0)] == pytest.approx([120.001, 121.001])


def test_times_rise_whatever_comes():
    clock = StreamClock()
    assert [clock.read(None, 1.0) for _ in range(3)] == pytest.approx([0, MIN_GAP_S, 2 * MIN_GAP_S])


@pytest.mark.parametrize(
    ('times_s', 'declared', 'fps'),
    [
        pytest.param([], None, 25.0, id='nothing known'),
        pytest.param([0.0], 12.5, 12.5, id='one frame'),
        pytest.param([0.1 * i for i in range(16)], None, 10.0, id='measured'),
        pytest.param([0.1 * i for i in range(16)], 9.5, 9.5, id='declared'),
        pytest.param([0.1 * i for i in range(16)], 90000.0, 10.0, id='declared, but wrong'),
        pytest.param([0, 0.001, 0.002, 0.003, *(1 + i for i in range(12))], None, 1.0, id='burst'),
    ],
)
def test_the_rate(times_s, declared, fps):
    assert choose_rate(times_s, declared) == pytest.approx(fps)


def test_a_file_is_played_at_its_speed(tmp_path):
    address = name_test_camera(encode(tmp_path / 'a.mp4', fps=30))
    begin_s = time.monotonic()
    received = collect(address)
    assert time.monotonic() - begin_s >= 23 / 30
    times_s = [arrival.time_s for arrival, _ in received]
    assert times_s == pytest.approx([i / 30 for i in range(24)], abs=1e-4)
    # it came in when it was due, whenever that was
    gaps_s = [b[0].arrived_s - a[0].arrived_s for a, b in itertools.pairwise(received)]
    assert gaps_s == pytest.approx([1 / 30] * 23, abs=1e-4)
    assert {rate for _, rate in received} == {30.0}


def test_a_file_at_another_rate(tmp_path):
    received = collect(name_test_camera(encode(tmp_path / 'a.mp4', fps=30)), fps=60.0)
    assert received[23][0].time_s == pytest.approx(23 / 60)


def test_a_stream_that_has_no_end_is_lost_at_its_end():
    counts = Counts()
    with serve(Camera(plan=[(10, 'end')]), RtspHandler) as camera:
        address = find_address(f'{camera.url}/a')
        with pytest.raises(StreamLostError, match='it was ended by the other side'):
            collect(address, counts=counts)
    assert counts.received == 10


def test_broken_packets_are_counted(tmp_path):
    path = encode(tmp_path / 'a.avi', fps=100, codec='png', pixel_format='rgb24')
    data = bytearray(path.read_bytes())
    place = [match.start() for match in re.finditer(b'\x89PNG', data)][3]
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    counts = Counts()
    received = collect(name_test_camera(path), counts=counts)
    # FFmpeg's decoder of PNG loses its neighbor too
    assert len(received) == counts.received >= 22 and counts.broken == 1


def test_it_stops_when_it_is_told(tmp_path):
    stop = threading.Event()
    address = name_test_camera(encode(tmp_path / 'a.mp4'))
    arrivals = receive(address, StreamClock(), Counts(), stall_s=5, stop=stop)
    next(arrivals)
    stop.set()
    assert len([*arrivals]) <= 1
