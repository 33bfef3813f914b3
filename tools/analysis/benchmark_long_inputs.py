"""Measure whether memory grows with what `mmotion predict` is given: beside a tenth of it.

Each row is a process of its own, whose largest resident memory the system tells. Models are small
and have random weights, which makes no difference for the memory. What is left of the ratio above 1
should be the result itself, whose JSON stands beside it.

    mmotion benchmark long_inputs --seconds 3600 --systems bkind repnet
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_inputs import write_keypoints, write_video

CONFIGS = {
    'repnet': 'repnet_small',
    'repnet_multirate': 'repnet_multirate',
    'timesformer': 'timesformer_shapes',
    'bkind': 'bkind_shapes',
    'anomaly': 'anomaly_shapes',
    'pose_sequence': 'pose_convlstm_json',
}
# these have weights that ship
SHIPPED = ('repnet_small', 'repnet_multirate')
FPS = 10.0
# more than these many seconds is no answer
LIMIT_S = 1800


def measure(
    config: str, inputs: list[Path], folder: Path, *options: str
) -> tuple[float, float, int]:
    """Run `mmotion predict`.

    Returns:
        Largest memory in MB, seconds, and bytes of the JSON files.
    """
    out = folder / 'out'
    words = ['predict', config, *map(str, inputs), '--out', str(out), *options]
    command = [sys.executable, '-m', 'mmotion.cli', *words, '--checkpoint', 'random']
    if config in SHIPPED:
        command = command[:-2]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f'the command must end well, got status {status} of {words}')
    size = sum(path.stat().st_size for path in out.glob('*.json'))
    shutil.rmtree(out)
    # kilobytes on Linux
    return usage.ru_maxrss / 1024, seconds, size


def main() -> None:
    """Measure what is asked for, one row after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
    parser.add_argument('--systems', nargs='+', default=[*CONFIGS], choices=[*CONFIGS])
    parser.add_argument('--seconds', type=float, default=3600.0, help='of video, at 10 a second')
    parser.add_argument('--size', type=int, default=64, help='of the picture, in pixels')
    parser.add_argument('--videos', type=int, default=1, help='so many of that length')
    parser.add_argument('--regions', type=int, default=0, help='in each picture')
    args = parser.parse_args()
    print(
        f'{"system":<14} {"MB":>7} {"a tenth":>8} {"ratio":>6} {"s":>7} {"a tenth":>8} {"JSON":>10}'
    )
    for system in args.systems:
        rows = []
        for share in (10, 1):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                # the longest dimension is the one that is asked for
                by_regions, by_videos = args.regions > 1, args.videos > 1 and args.regions <= 1
                num_frames = round(args.seconds * FPS / (1 if by_regions or by_videos else share))
                count = args.videos // share if by_videos else args.videos
                path = folder / ('a.json' if system == 'pose_sequence' else 'a.mp4')
                if system == 'pose_sequence':
                    write_keypoints(path, num_frames, fps=FPS)
                else:
                    write_video(path, num_frames, (args.size, args.size), fps=FPS)
                inputs = [path]
                for number in range(1, count):
                    inputs.append(folder / f'a{number}{path.suffix}')
                    os.link(path, inputs[-1])
                options = []
                if args.regions:
                    boxes = range(args.regions // (share if by_regions else 1))
                    options = ['--regions', *(f'r{n}=2,2,40,40' for n in boxes)]
                rows.append(measure(CONFIGS[system], inputs, folder, *options))
        (few, few_s, _), (many, many_s, size) = rows
        print(
            f'{system:<14} {many:7.0f} {few:8.0f} {many / few:6.3f} {many_s:7.1f} {few_s:8.1f} '
            f'{size:10,}',
            flush=True,
        )


if __name__ == '__main__':
    main()
