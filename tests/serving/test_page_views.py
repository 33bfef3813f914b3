from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest

from mmotion.serving.page_views import (
    describe_answer,
    find_threshold,
    find_times,
    show_alarms,
    show_answer,
    show_plots,
    show_summary,
)
from tests.serving.stored_results import (
    as_content,
    count_four,
    sit_and_walk,
    three_points,
    two_alarms,
)


def test_the_answer_is_the_first_finding_of_the_table():
    row = {'video': 'a.mp4', 'status': 'ok', 'count': '8', 'confidence': '0.916', 'video_s': '9'}
    html = show_answer([row])
    assert '<strong>8</strong><span>count</span>' in html
    assert '<dt>confidence</dt><dd>92 %</dd>' in html
    assert 'a.mp4' not in html and 'video' not in html
    assert describe_answer([row]) == 'count: 8'


def test_regions_have_an_answer_each():
    rows = [{'region': 'left', 'count': '3'}, {'region': 'right', 'count': '4.5'}]
    assert describe_answer(rows) == 'left, count: 3, right, count: 4.5'
    assert show_answer(rows).count('class="answer"') == 2


@pytest.mark.parametrize('text', ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>'])
def test_no_text_becomes_markup(text):
    row = {'video': text, 'region': text, 'label': text}
    shown = [show_answer([row]), show_summary([row])]
    content = as_content(sit_and_walk())
    content['segments'][0]['label'] = text
    shown.append(show_plots({'regions': [{'name': text, **content}]}))
    found = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.add(tag)
    for html in shown:
        parser.feed(html)
        assert escape(text, quote=False) in html
    assert 'td' in found and not found & {'script', 'img'}


def test_counts_have_curves_with_shaded_parts():
    html = show_plots(as_content(count_four()))
    for title in ('Count', 'Period (s)', 'Periodicity'):
        assert f'<figcaption>{title}</figcaption>' in html
    assert html.count('class="part"') == 3
    # the end of the part, at 4.25 of 5 s
    assert 'x="100.0" width="750.0"' in html
    assert 'data-start="0.000" data-end="5.000"' in html
    assert 'Parts (1)' in html


def test_labels_have_a_timeline():
    html = show_plots(as_content(sit_and_walk()))
    assert 'left:0.00%;width:45.00%' in html and 'title="walk, 2.2 to 5.0 s"' in html
    assert 'class="part"' not in html


def test_keypoints_have_trails_with_names():
    content = as_content(three_points())
    content['keypoints'][0][0] = [None, None]
    html = show_plots(content)
    assert html.count('<polyline') == 3 and html.count('<circle') == 3
    assert '&lt;tail&gt;' in html and 'viewBox="0 0 96 64"' in html


def test_each_region_has_plots_of_its_own():
    parts = [{'name': name, **as_content(count_four())} for name in ('left', 'right')]
    html = show_plots({'regions': parts})
    assert '<h3>left</h3>' in html and html.count('<figcaption>Count') == 2


def test_a_result_without_anything_over_time_has_no_plot():
    assert show_plots({'answer': 3}) == ''
    assert find_times({'answer': 3}) is None


def test_a_threshold_moves_the_alarms():
    result = two_alarms()
    threshold = find_threshold(as_content(result))
    assert threshold is not None and threshold.value == 7.0
    # at that of the model they are those of the result
    expected = [(s.start_s, s.end_s) for s in result.segments]
    assert [(s.start_s, s.end_s) for s in threshold.find_alarms(7.0)] == expected
    assert [s.start_s for s in threshold.find_alarms(9.0)] == [3.75]
    low, high, step = threshold.range
    assert threshold.find_alarms(high) == [] and len(threshold.find_alarms(low)) == 1
    assert 20 < (high - low) / step < 2000
    assert '2 alarms' in show_alarms(threshold, 7.0) and 'No alarm' in show_alarms(threshold, high)
    assert find_threshold(as_content(sit_and_walk())) is None


def test_a_model_that_raises_no_alarm_has_a_slider_all_the_same():
    content = as_content(two_alarms()) | {'threshold': None}
    threshold = find_threshold(content)
    assert threshold is not None and threshold.value is None and threshold.range[1] > 14


def test_a_long_curve_keeps_its_peaks():
    values = np.zeros(100_000)
    values[31_234] = 5.0
    html = show_plots({'fps': 30.0, 'speed_per_frame': values.tolist()})
    assert ',0.0 ' in html and len(html) < 20_000


def test_a_long_table_is_folded_and_cut():
    html = show_summary([{'video': f'{n}.mp4', 'count': n} for n in range(300)])
    assert html.startswith('<details><summary>All results in one table (300)')
    assert 'and 100 more' in html
