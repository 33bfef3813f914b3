"""TimeSformer's predictor: name the action in a file, an array or a camera's frames.

A window slides over the frames, see `mmotion.inference.views`. Of a file or an array, whose length
is known, the scores of the whole video are those that testing gives it: the pipeline chooses its
clips from all of the frames. Of frames whose end is not known they are the mean over the windows.

Memory holds the frames of one window, the time of each so far, and the scores of each window:
2.3 MB an hour for 400 classes and a window every 4 s.

Shape letters in this file: N frames of a video, V views of a window, T frames per clip, C classes.
"""

import itertools
import math
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mmotion.inference.abilities import PortableNetwork
from mmotion.inference.lean import PREDICTORS, to_array, without_gradients
from mmotion.inference.predictor import Predictor
from mmotion.inference.samples import find_class_names
from mmotion.inference.views import Results, ViewMaker, check_window, find_span
from mmotion.structures.actions import ActionScores, RunningScores, describe_views
from mmotion.structures.results import time_at
from mmotion.structures.times import list_irregular
from mmotion.structures.windows import cut_ends
from mmotion.video import VideoFrame
from mmotion.video.files import name_video
from mmotion.video.frames import note_times
from mmotion.video.sources import VideoSource

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel
    from torch import Tensor

    from mmotion.visualization.actions import HeatMap


@PREDICTORS.register_module()
class ActionPredictor(Predictor[ActionScores]):
    """Names the action of a video, and over its time, by MMAction2's `Recognizer3D`.

    Args:
        config: See `Predictor`, like the next two.
        model: The recognizer, in eval mode; its head must average the views to scores in [0, 1].
        device: Where the model is.
        window_s: Length of the sliding window; None takes the time that one clip spans. A shorter
            one is a short video to the pipeline, which repeats frames of it.
        hop_s: Time from one window to the next; None takes half a window.
        smoothing_s: Time over which window scores are averaged, by a mean that forgets: what was
            `smoothing_s` ago counts e times less. 0 leaves them as they are.
        min_score: Score in [0, 1] that a class must reach to be marked on the timeline.

    Raises:
        ValueError: If a number is out of its range.
    """

    plot_name = 'actions'

    def __init__(
        self,
        *,
        config: 'Config',
        model: 'BaseModel',
        device: str = 'cpu',
        window_s: float | None = None,
        hop_s: float | None = None,
        smoothing_s: float = 0.0,
        min_score: float = 0.0,
    ) -> None:
        super().__init__(config=config, model=model, device=device)
        check_window(window_s, hop_s)
        if not 0 <= smoothing_s < math.inf:
            raise ValueError(f'smoothing_s must be at least 0, got smoothing_s={smoothing_s}')
        if not 0 <= min_score <= 1:
            raise ValueError(f'min_score must lie in [0, 1], got min_score={min_score}')
        self.window_s = window_s
        self.hop_s = hop_s
        self.smoothing_s = smoothing_s
        self.min_score = min_score
        backbone = (config.get('model') or {}).get('backbone') or {}
        self._views = ViewMaker(self._pipeline.transforms, backbone.get('num_frames'))

    def make_portable(self) -> PortableNetwork:
        """The network from the grey levels of the views of videos to scores."""
        import torch

        from .models import TimeSformerHead

        model = cast('Any', self.model)
        head = model.cls_head
        if not isinstance(head, TimeSformerHead):
            raise ValueError(
                f'cls_head must be a TimeSformerHead to be exported, got {type(head).__name__}'
            )
        mean, std = (
            getattr(model.data_preprocessor, name).view(3, 1, 1, 1) for name in ('mean', 'std')
        )

        # two views at least, as torch takes one for a constant
        views = self._views.make_blank()['packed']['inputs'].repeat(2, 1, 1, 1, 1)

        def run(inputs: 'Tensor') -> 'tuple[Tensor]':
            clips = (inputs.flatten(0, 1).float() - mean) / std
            scores = head(model.backbone(clips)).float().softmax(1)
            return (scores.unflatten(0, inputs.shape[:2]).mean(1),)

        return PortableNetwork(
            run=run,
            model=model,
            inputs={'inputs': torch.stack([views, views])},
            free={'inputs': {0: 'videos', 1: 'views'}},
            outputs=('pred_score',),
            meta={'classes': find_class_names(self.config, model, head.num_classes)},
        )

    def draw_attention(
        self, video: str | Path | NDArray[np.uint8], result: ActionScores, out_dir: str | Path
    ) -> list[Path]:
        """Write `<stem>_attention.mp4` and `<stem>_attention.png`, see `DrawsAttention`.

        The video has the attention of windows that follow one another; between the frames that a
        clip is made of it is interpolated. The picture has the frames of one clip side by side, as
        in figure 7 of the paper: that of the window whose score for the video's class is highest.
        """
        backbone = getattr(self.model, 'backbone', None)
        if not hasattr(backbone, 'rollout'):
            raise ValueError(
                'backbone must be able to show its attention, got '
                f'{type(backbone).__name__}; give it a method `rollout`'
            )
        from mmotion.visualization.actions import draw_heat, plot_heat

        names = ('attention.mp4', 'attention.png')
        overlay, picture = self._name_drawings(video, out_dir, *names)

        def read() -> Iterator[VideoFrame]:
            return self._open_again(video, result)

        heat = self._attend(read(), result.fps)
        draw_heat(read(), heat, overlay, fps=result.fps, times_s=result.frame_times_s)

        best = int(result.window_scores[:, int(result.scores.argmax())].argmax())
        window_s = (result.window_start_s[best], result.window_end_s[best])
        times_s = time_at(result, np.arange(result.num_frames)) + 0.5 / result.fps
        first, end = np.searchsorted(times_s, window_s).tolist()
        clip = list(self._attend(itertools.islice(read(), first, end), result.fps))
        numbers = {heat.index for heat in clip}
        window = itertools.islice(read(), first, end)
        images = [frame.image for frame in window if frame.index in numbers]
        title = f'{name_video(video)}: attention, {result.label} {result.score:.2f}'
        plot_heat(images, clip, picture, title=title)
        return [overlay, picture]

    def _predict_source(
        self, source: VideoSource, start_s: float, end_s: float | None
    ) -> ActionScores:
        result = super()._predict_source(source, start_s, end_s)
        if source.num_frames is None or not self._views.chooses or len(result.window_scores) == 1:
            return result
        first, end = source.times.span(start_s, end_s)
        end = min(source.num_frames if end is None else end, source.num_frames)
        scores, views = self._score(self._views.make(source, first, end - first))
        return replace(result, scores=scores, views=views)

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> ActionScores:
        times_s = array('d')
        windows = list(self._slide(note_times(frames, times_s), fps))
        last, views = windows[-1]
        return ActionScores(
            classes=last.classes,
            scores=last.mean_scores,
            views=views if len(windows) == 1 else f'{len(windows)} windows x {views}',
            fps=fps,
            num_frames=last.num_frames,
            window_start_s=np.array([window.start_s for window, _ in windows]),
            window_end_s=cut_ends(
                [window.end_s for window, _ in windows],
                [window.num_frames for window, _ in windows],
                times_s,
            ),
            window_scores=np.stack([window.scores for window, _ in windows]),
            start_s=windows[0][0].start_s,
            frame_times_s=list_irregular(times_s, fps),
            min_score=self.min_score,
        )

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[RunningScores]:
        for window, _ in self._slide(frames, fps):
            yield window

    def _slide(
        self, frames: Iterator[VideoFrame], fps: float
    ) -> Iterator[tuple[RunningScores, str]]:
        """The scores of each window, and the views that they are taken from."""
        size_s, hop_s = self._window_seconds(fps)
        total, smooth, end_s = 0.0, 0.0, 0.0
        classes: tuple[str, ...] = ()
        windows = self._views.slide(frames, size_s=size_s, hop_s=hop_s, fps=fps)
        for number, window in enumerate(windows, start=1):
            with without_gradients():
                scores, views = self._score(self._views.view(window, fps))
            if number == 1:
                classes = find_class_names(self.config, self.model, len(scores))
                smooth = scores
            # the last window may follow sooner than the others
            previous_s, (start_s, end_s) = end_s, find_span(window, fps)
            keep = math.exp((previous_s - end_s) / self.smoothing_s) if self.smoothing_s else 0.0
            smooth = keep * smooth + (1 - keep) * scores
            total = total + scores
            running = RunningScores(
                classes=classes,
                num_frames=window[-1]['number'] + 1,
                start_s=start_s,
                end_s=end_s,
                scores=smooth,
                mean_scores=np.asarray(total / number, np.float32),
            )
            yield running, views

    def _attend(self, frames: Iterator[VideoFrame], fps: float) -> 'Iterator[HeatMap]':
        """Where the model looks in frames of windows that follow one another, in their order."""
        from mmotion.visualization.actions import HeatMap, join_views

        size_s, _ = self._window_seconds(fps)
        last = -1
        for window in self._views.slide(frames, size_s=size_s, hop_s=size_s, fps=fps):
            results = self._views.view(window, fps)
            with without_gradients():
                maps = cast('Any', self.model.backbone).rollout(
                    self._batch(results)['inputs'].flatten(0, 1)
                )
            height, width = window[0]['img_shape']
            boxes = np.asarray(results.get('crop_bbox', [0, 0, width, height])).reshape(-1, 4)
            heat = join_views(
                maps.float().cpu().numpy(),
                boxes,
                num_clips=results['num_clips'],
                size=(height, width),
            )
            # several clips may look at one frame, and a short video is repeated
            numbers = [window[i]['index'] for i in results['frame_inds']]
            for number, heat_map in sorted(zip(numbers, heat, strict=True), key=lambda p: p[0]):
                if number > last:
                    last = number
                    yield HeatMap(number, heat_map)

    def _window_seconds(self, fps: float) -> tuple[float, float]:
        """How long a window is, and a hop."""
        return self._views.window_seconds(fps, window_s=self.window_s, hop_s=self.hop_s)

    def _draw(self, *args: Any) -> list[Path]:
        # registers how scores look
        from mmotion.visualization import actions  # noqa: F401

        return super()._draw(*args)

    def _batch(self, results: Results) -> dict[str, Any]:
        return self.collate([results['packed']])

    def _score(self, results: Results) -> tuple[NDArray[np.float32], str]:
        """Scores of the classes (C,), and the name of the views."""
        batch = self._batch(results)
        (sample,) = self.model(**batch, mode='predict')
        views = describe_views(batch['inputs'].shape[1:], results['num_clips'])
        return to_array(sample.pred_score), views
