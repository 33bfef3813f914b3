import json
import tracemalloc

import numpy as np
import pytest
import simplejson

from mmotion.structures.json_file import NUM_ROWS, Rounded, iterate_json, write_json

NUMBERS = np.random.default_rng(0).random((2 * NUM_ROWS + 3, 2, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ('content', 'plain'),
    [
        pytest.param(NUMBERS, NUMBERS.tolist(), id='rows of several parts'),
        pytest.param(NUMBERS[:NUM_ROWS], NUMBERS[:NUM_ROWS].tolist(), id='one part'),
        pytest.param(NUMBERS[:0], [], id='no row'),
        pytest.param(
            Rounded(NUMBERS, 3), NUMBERS.astype(np.float64).round(3).tolist(), id='rounded'
        ),
        pytest.param(
            {'a': {'b': np.array([1, 2])}, 'é "': None, 'c': (1, 2)},
            {'a': {'b': [1, 2]}, 'é "': None, 'c': [1, 2]},
            id='dictionaries',
        ),
        pytest.param(
            ({'n': n, 'x': np.array([n, np.nan, np.inf])} for n in range(2)),
            [{'n': n, 'x': [float(n), None, None]} for n in range(2)],
            id='iterator',
        ),
        pytest.param(iter(()), [], id='empty iterator'),
        pytest.param([1.5, float('nan'), 'udc\udce9'], [1.5, None, 'udc\udce9'], id='plain'),
    ],
)
def test_it_is_the_text_of_lists(content, plain):
    assert ''.join(iterate_json(content)) == simplejson.dumps(plain)


def test_what_is_no_json_is_an_error():
    with pytest.raises(TypeError, match='not JSON serializable'):
        ''.join(iterate_json({'a': object()}))


def test_memory_does_not_grow_with_the_rows(tmp_path):
    """Measured: 0.2 MB for either; as lists, 5 and 50 MB."""
    peaks = []
    for rows in (20_000, 200_000):
        numbers = np.ones((rows, 7), np.float32)
        tracemalloc.start()
        write_json(tmp_path / 'rows.json', {'numbers': Rounded(numbers, 3)})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert len(json.loads((tmp_path / 'rows.json').read_text())['numbers']) == 200_000
