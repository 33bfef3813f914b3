"""Time the reading of a few frames of videos: ours, torchcodec and decord, in turn.

Each round every reader opens every video anew and reads the same frames, evenly spaced, as RGB in
full size; nothing is kept from the round before. A table gives the medians, in seconds by the clock
and of the processor (of all threads), and whether the pixels are ours. Readers that are not
installed are named as missing.

Example:
    mmotion benchmark decoding one.mp4 other.mp4 --frames 8 --rounds 5
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from made_inputs import write_video

from mmotion.video import inspect_video, read_frames
from mmotion.video.scan import forget_videos

Reader: TypeAlias = Callable[[Path, list[int]], np.ndarray]
OURS = 'mmotion'


def find_readers() -> tuple[dict[str, Reader], dict[str, str]]:
    """Readers by name, ours first, and why others are missing."""
    readers: dict[str, Reader] = {OURS: _read}
    missing = {}
    for name, find in (('torchcodec', _find_torchcodec), ('decord', _find_decord)):
        try:
            readers[name] = find()
        except (ImportError, OSError, RuntimeError) as error:
            missing[name] = str(error).splitlines()[0]
    return readers, missing


def compare(
    readers: Mapping[str, Reader], path: Path, *, num_frames: int, rounds: int
) -> list[tuple[str, float, float, str]]:
    """Read frames of a video by each reader in turn.

    Args:
        readers: By name, ours among them.
        path: The video.
        num_frames: Frames to read, evenly spaced from the first to the last.
        rounds: How often, beside one that warms up.

    Returns:
        Of each its name, seconds and seconds of the processor, and how its pixels differ from ours.
    """
    last = inspect_video(path).num_frames - 1
    numbers = np.rint(np.linspace(0, last, num_frames)).astype(int).tolist()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    images: dict[str, np.ndarray] = {}
    for number in range(rounds + 1):
        for name, read in readers.items():
            start, used = time.perf_counter(), time.process_time()
            frames = read(path, numbers)
            taken = (time.perf_counter() - start, time.process_time() - used)
            if number:
                seconds[name].append(taken)
            else:
                images[name] = frames
    rows = []
    for name, times in seconds.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*times, strict=True))
        levels = np.abs(images[name].astype(np.int16) - images[OURS]).max()
        rows.append((name, wall_s, cpu_s, f'{levels} levels at most' if levels else 'the same'))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table as Markdown."""
    parser = argparse.ArgumentParser(description='Time the reading of a few frames of videos.')
    parser.add_argument(
        'videos', nargs='*', type=Path, metavar='VIDEO', help='default: one of 1080p is made'
    )
    parser.add_argument('--frames', type=int, default=8, help='of each video; default: 8')
    parser.add_argument('--rounds', type=int, default=5, help='default: 5')
    args = parser.parse_args(argv)
    readers, missing = find_readers()
    print('| video | reader | s | CPU s | CPU, ours = 1 | pixels |\n|---|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / 'made, 300 frames of 1080p.mp4'
        for path in args.videos or [write_video(made, 300, (1920, 1080), fps=30)]:
            for name in [*readers][1:]:
                try:
                    readers[name](path, [0])
                except (OSError, RuntimeError) as error:
                    # a package whose libraries are not there
                    del readers[name]
                    missing[name] = str(error).splitlines()[0]
            rows = compare(readers, path, num_frames=args.frames, rounds=args.rounds)
            for name, wall_s, cpu_s, pixels in rows:
                cells = f'{wall_s:.2f} | {cpu_s:.2f} | {cpu_s / rows[0][2]:.2f} | {pixels}'
                print(f'| {path.stem} | {name} | {cells} |')
    for name, reason in missing.items():
        print(f'\n{name} is missing: {reason}')


def _read(path: Path, numbers: list[int]) -> np.ndarray:
    forget_videos()
    return read_frames(path, numbers, backend='pyav')


def _find_torchcodec() -> Reader:
    from torchcodec.decoders import VideoDecoder

    def read(path: Path, numbers: list[int]) -> np.ndarray:
        decoder = VideoDecoder(path, dimension_order='NHWC', num_ffmpeg_threads=0)
        return decoder.get_frames_at(numbers).data.numpy()

    return read


def _find_decord() -> Reader:
    from decord import VideoReader

    return lambda path, numbers: VideoReader(str(path)).get_batch(numbers).asnumpy()


if __name__ == '__main__':
    main()
