"""Pictures of a result for a page: stills of its video and plots, as data that lie in the page.

What was drawn is taken where it is there (by `mmotion predict`), and else the video, and curves
of the numbers in the JSON file.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray

from mmotion.video.clips import read_scaled_frames
from mmotion.video.pictures import Page, read_picture
from mmotion.video.reading import VideoError, inspect_video

NUM_STILLS = 6
# of stills; plots are as wide as they were drawn
WIDTH_PX = 480
JPEG_QUALITY = 82
# how much smaller pictures get until they fit
SCALES = (1.0, 0.7, 0.5, 0.35, 0.25)
# a curve of more points shows no more in the width of a page
MAX_POINTS = 400
CURVE_WH = (800, 120)
PER_FRAME = '_per_frame'


class Curve(NamedTuple):
    """Numbers over the time of a video.

    Attributes:
        name: What they are.
        times_s: When (N,).
        values: The numbers (N,), NaN where there is none.
    """

    name: str
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]


def make_pictures(videos: Sequence[Path], plots: Sequence[Path], max_bytes: int) -> list[Element]:
    """Stills and plots as elements of a page, smaller where they would not fit.

    Args:
        videos: Of them the first that can be read gives the stills.
        plots: PNG files.
        max_bytes: What they may need in all.

    Returns:
        Two figures, or less where there is nothing to show, or no room for it.
    """
    stills = _read_stills(videos)
    drawn = [path for path in plots if path.is_file()]
    for scale in SCALES:
        figures = [
            _make_figure('stills', 'jpeg', [_encode(image, scale) for image in stills]),
            _make_figure('plots', 'png', [_read_plot(path, scale) for path in drawn]),
        ]
        if sum(len(image.get('src', '')) for figure in figures for image in figure) <= max_bytes:
            return [figure for figure in figures if len(figure)]
    return []


def find_curves(content: Mapping[str, Any]) -> list[Curve]:
    """Find what a result says of each frame, or of the windows of its timeline.

    Args:
        content: Of a JSON file of `mmotion predict`.
    """
    curves = []
    start_s, fps = content.get('start_s') or 0.0, content.get('fps')
    for key, values in content.items():
        if key.endswith(PER_FRAME) and fps:
            times_s = content.get('frame_times_s') or start_s + np.arange(len(values)) / fps
            curves.append((key.removesuffix(PER_FRAME), times_s, values))
    windows = content.get('timeline') or ()
    if windows:
        # of classes the best one of each window
        scores = [
            window.get('score', (window.get('top') or [{}])[0].get('score')) for window in windows
        ]
        middles_s = [(window['start_s'] + window['end_s']) / 2 for window in windows]
        curves.append(('score', middles_s, scores))
    arrays = [(n, np.array(t, np.float64), np.array(v, np.float64)) for n, t, v in curves]
    return [Curve(*curve) for curve in arrays if np.isfinite(curve[2]).any()]


def draw_curve(curve: Curve) -> Element:
    """Draw a curve with its range, as an element of a page."""
    width, height = CURVE_WH
    figure = Element('figure', {'class': 'curve'})
    shown = np.unique(np.linspace(0, len(curve.values) - 1, MAX_POINTS).astype(int))
    times, values = curve.times_s[shown], curve.values[shown]
    low, high = min(0.0, np.nanmin(values)), max(0.0, np.nanmax(values))
    name = curve.name.replace('_', ' ')
    text = f'{name}: {low:.3g} to {high:.3g}, from {times[0]:.1f} s to {times[-1]:.1f} s'
    SubElement(figure, 'figcaption').text = text
    box = {'viewBox': f'0 0 {width} {height}', 'role': 'img', 'preserveAspectRatio': 'none'}
    svg = SubElement(figure, 'svg', {**box, 'aria-label': name})
    x = width * (times - times[0]) / max(times[-1] - times[0], 1e-9)
    y = height - 2 - (height - 4) * (values - low) / max(high - low, 1e-9)
    for part in np.split(np.stack([x, y], axis=1), np.flatnonzero(np.diff(np.isnan(y))) + 1):
        if np.isfinite(part).all():
            points = ' '.join(f'{px:.1f},{py:.1f}' for px, py in part.tolist())
            SubElement(svg, 'polyline', {'points': points})
    return figure


def _read_stills(videos: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """Frames of the first video that can be read, evenly spaced."""
    for video in _existing(videos):
        try:
            num_frames = inspect_video(video).num_frames
            places = (np.arange(NUM_STILLS) + 0.5) * num_frames / NUM_STILLS
            numbers = np.unique(places.astype(np.int64))
            return read_scaled_frames(video, numbers, scale=lambda frame: _shrink(frame, WIDTH_PX))
        except VideoError:
            # the file may have changed since; the page does without
            continue
    return []


def _existing(videos: Sequence[Path]) -> Iterator[Path]:
    yield from (video for video in videos if video.is_file())


def _shrink(image: NDArray[np.uint8], width: float) -> NDArray[np.uint8]:
    """Make an image at most so wide."""
    import cv2

    factor = width / image.shape[1]
    if factor >= 1:
        return image.copy()
    size = (max(round(width), 1), max(round(factor * image.shape[0]), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encode(image: NDArray[np.uint8], scale: float, kind: str = 'jpeg') -> bytes:
    import cv2

    small = cv2.cvtColor(_shrink(image, scale * image.shape[1]), cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == 'jpeg' else []
    return cv2.imencode(f'.{kind}', small, options)[1].tobytes()


def _read_plot(path: Path, scale: float) -> bytes:
    # as it was written it takes half of what OpenCV makes of it
    return path.read_bytes() if scale == 1 else _encode(read_picture(Page(path)), scale, 'png')


def _make_figure(name: str, kind: str, contents: Sequence[bytes]) -> Element:
    figure = Element('figure', {'class': name})
    for content in contents:
        data = f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
        SubElement(figure, 'img', {'src': data, 'alt': name})
    return figure
