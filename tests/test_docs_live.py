"""The Python examples of docs/live.md count what a generated stream shows."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmotion.video import live
from tests.cameras import Camera, RtspHandler, serve

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'live.md'
EXAMPLES = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
ADDRESS = 'rtsp://camera.local/gym'
FPS = 25
# a disc goes up and down once in so many frames
PERIOD = 20


def paint_exercise(number: int) -> np.ndarray:
    image = np.full((96, 96, 3), 40, np.uint8)
    height = 48 + round(30 * np.cos(2 * np.pi * number / PERIOD))
    return cv2.circle(image, (48, height), 14, (220, 60, 60), -1)


@pytest.mark.parametrize('code', EXAMPLES, ids=['live video', 'opencv'])
def test_the_examples_count(code, capsys, monkeypatch):
    monkeypatch.setattr(live, 'FIRST_RETRY_S', 0.01)
    plan = [(8 * PERIOD, 'end'), (0, 'refuse')]
    with serve(Camera(plan=plan, fps=FPS, paint=paint_exercise), RtspHandler) as camera:
        exec(code.replace(ADDRESS, f'{camera.url}/gym'), {})
    last = re.findall(r'^([\d.]+) s: (\d+)$', capsys.readouterr().out, re.MULTILINE)[-1]
    # OpenCV begins with frames that have waited for it
    assert float(last[0]) == pytest.approx(8 * PERIOD / FPS, abs=2)
    assert int(last[1]) == pytest.approx(8, abs=1)


def test_there_are_two():
    assert len(EXAMPLES) == 2 and all(ADDRESS in code for code in EXAMPLES)
