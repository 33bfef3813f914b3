"""mmotion: understand motion in video with registered modules and Python configs.

    import mmotion

    predictor = mmotion.load_model('repnet_small')
    print(predictor.predict('workout.mp4').count)

What is named here is imported when it is first used, so that `import mmotion` answers at once.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmotion.corpus.run import predict_corpus
    from mmotion.inference import DrawsAttention, Exports, Predictor, load_model
    from mmotion.keypoints import Person, PoseVideo, read_poses, write_poses
    from mmotion.regions import Region, RegionResults, read_regions
    from mmotion.shapes import MotionShapes
    from mmotion.structures import ActionScores, ActionSegment, Result, RunningScores
    from mmotion.video import (
        VideoError,
        VideoFrame,
        VideoInfo,
        VideoWriter,
        inspect_video,
        iterate_frames,
        read_frames,
    )
    from mmotion.video.sources import VideoSource, open_source

__version__ = '0.2.0'

__all__ = [
    'ActionScores',
    'ActionSegment',
    'DrawsAttention',
    'Exports',
    'MotionShapes',
    'Person',
    'PoseVideo',
    'Predictor',
    'Region',
    'RegionResults',
    'Result',
    'RunningScores',
    'VideoError',
    'VideoFrame',
    'VideoInfo',
    'VideoSource',
    'VideoWriter',
    'inspect_video',
    'iterate_frames',
    'load_model',
    'open_source',
    'predict_corpus',
    'read_frames',
    'read_poses',
    'read_regions',
    'write_poses',
]

# where they are while a program runs; the same as above, where only type checkers look
_PLACES = {
    'corpus.run': 'predict_corpus',
    'inference': 'DrawsAttention Exports Predictor load_model',
    'keypoints': 'Person PoseVideo read_poses write_poses',
    'regions': 'Region RegionResults read_regions',
    'shapes': 'MotionShapes',
    'structures': 'ActionScores ActionSegment Result RunningScores',
    'video': 'VideoError VideoFrame VideoInfo VideoWriter inspect_video iterate_frames read_frames',
    'video.sources': 'VideoSource open_source',
}


def __getattr__(name: str) -> object:
    for place, names in _PLACES.items():
        if name in names.split():
            from importlib import import_module

            return getattr(import_module(f'mmotion.{place}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


class _BeforeMMEngine:
    """Finds no module, and mends mmengine and MMAction2 before they are imported."""

    @classmethod
    def find_spec(cls, fullname: str, path: object = None, target: object = None) -> None:
        """Apply the remedies of `mmotion.compat` at the first search for one of them."""
        if fullname in ('mmengine', 'mmaction'):
            sys.meta_path.remove(cls)
            from importlib import import_module

            import_module('mmotion.compat').apply_compat()


sys.meta_path.insert(0, _BeforeMMEngine)
if 'mmengine' in sys.modules:
    _BeforeMMEngine.find_spec('mmengine')
