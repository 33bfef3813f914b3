"""The main job from start to end: train RepNet, test it, count in a video, look at the result.

Example:
    mmotion tool demo --work-dir work_dirs/demo --video workout.mp4
"""

import argparse
import json
import sys
import time
from pathlib import Path

from mmotion.cli import main as mmotion
from mmotion.shapes import MotionShapes
from mmotion.video import VideoWriter

CONFIG = 'repnet_shapes'
# the test videos of the config are the first 400; this one is seen by no training and no test
VIDEO_INDEX = 1012


def render_video(path: Path) -> float:
    """Write a generated video that is new to the model, and tell its true count."""
    scene = MotionShapes(split='test', size=256)[VIDEO_INDEX]
    with VideoWriter(path, fps=30.0) as writer:
        for frame in scene.frames():
            writer.write(frame)
    return scene.count


def run(*command: str) -> None:
    """Run one `mmotion` command, shown as a user would type it; stop if it fails."""
    print('\n$ mmotion', *command, flush=True)
    code = mmotion(list(command))
    if code:
        sys.exit(code)


def main() -> None:
    """Parse the command line and run the demo."""
    parser = argparse.ArgumentParser(description='Train RepNet and count in a video.')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--video', type=Path, help='count in this one instead of a generated one')
    parser.add_argument('--epochs', type=int, default=4, help='of training, about a minute each')
    args = parser.parse_args()
    start = time.time()
    work_dir, out = str(args.work_dir), args.work_dir / 'predictions'

    # a demo that was stopped goes on where it was, and one that was done does not train again
    length = f'train_cfg.max_epochs={args.epochs}'
    run('train', CONFIG, '--work-dir', work_dir, '--resume', 'auto', '--cfg-options', length)
    checkpoint = str(args.work_dir / f'epoch_{args.epochs}.pth')
    few = 'test_dataloader.dataset.num_videos=100'
    run('test', CONFIG, checkpoint, '--work-dir', work_dir, '--cfg-options', few)

    video, true_count = args.video, None
    if video is None:
        video = args.work_dir / 'new_video.mp4'
        true_count = render_video(video)
    run('predict', CONFIG, str(video), '--checkpoint', checkpoint, '--out', str(out), '--draw')

    result = json.loads((out / f'{video.stem}.json').read_text())
    truth = '' if true_count is None else f' (true count: {true_count:.0f})'
    print(f'\n{video}: {result["count"]:.1f} repetitions{truth}')
    for name in ('_overlay.mp4', '_counts.png', '_similarity.png', '.json'):
        print(f'  {out / (video.stem + name)}')
    print(f'done in {(time.time() - start) / 60:.1f} minutes')


if __name__ == '__main__':
    main()
