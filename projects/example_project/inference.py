"""From a video to a direction: the mean over clips that follow one another."""

import itertools
from array import array
from collections.abc import Iterator

import torch

from mmotion.inference import Predictor, make_sample
from mmotion.registry import PREDICTORS
from mmotion.structures.times import list_irregular
from mmotion.video import VideoFrame
from projects.example_project.data import CLASSES
from projects.example_project.results import DotDirection

# as long as the clips of the training
CLIP_FRAMES = 8


@PREDICTORS.register_module()
class DirectionPredictor(Predictor[DotDirection]):
    """Says which way the dot of a video moves, and while it comes in, which way it has moved.

    Args:
        config: See `Predictor`, like the next two.
        model: The classifier, in eval mode.
        device: Where the model is.
    """

    plot_name = 'direction'

    def _predict_frames(self, frames: Iterator[VideoFrame], fps: float) -> DotDirection:
        *_, last = self._stream_frames(frames, fps)
        return last

    def _stream_frames(self, frames: Iterator[VideoFrame], fps: float) -> Iterator[DotDirection]:
        first = next(frames)
        frames = itertools.chain([first], frames)
        times_s = array('d')
        num_frames, total = 0, torch.zeros(len(CLASSES))
        while clip := list(itertools.islice(frames, CLIP_FRAMES)):
            with torch.inference_mode():
                sample = make_sample([frame.image for frame in clip], fps=fps)
                # the test pipeline gives one view of the clip: (1, 1, 3, T, H, W)
                inputs = self.preprocess([sample])['inputs'].flatten(0, 1)
                scores = self.model(inputs).softmax(dim=1)[0].cpu()
            # a shorter clip at the end counts less
            num_frames += len(clip)
            times_s.extend(frame.time_s for frame in clip)
            total += scores * len(clip)
            best = int(total.argmax())
            yield DotDirection(
                label=CLASSES[best],
                score=float(total[best]) / num_frames,
                fps=fps,
                num_frames=num_frames,
                start_s=first.time_s,
                frame_times_s=list_irregular(times_s, fps),
            )
