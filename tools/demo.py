"""Count repetitions in a video at once, with the weights that ship; then train such a model.

Example:
    mmotion tool demo
    mmotion tool demo --video workout.mp4
    mmotion tool demo --train
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from mmotion.cli import main as mmotion
from mmotion.shapes import MotionShapes
from mmotion.video import VideoWriter

SHIPPED = 'repnet_small'
TRAINED = 'repnet_shapes'
# the generated videos of training and tests are others
VIDEO_INDEX = 1012
# a process of its own, whose output can go to a file
COMMAND = [sys.executable, '-m', 'mmotion.cli']
# how far a command is, and what a test has found, in the lines that they write
PROGRESS = re.compile(
    r'Epoch\((?P<what>\w+)\) +(?:\[(?P<epoch>\d+)\])?\[ *(?P<step>\d+)/(?P<steps>\d+)\] +'
    r'.*?eta: (?P<left>\S+)(?:.* loss: (?P<loss>\S+))?'
)
METRICS = re.compile(r'Epoch\((?:test|val)\).*count/OBO: (?P<obo>\S+)')
# where lines stay, as in a file, one is enough in this time, in seconds
INTERVAL_S = 60.0
# on a terminal, a line of progress is written over the one before
IS_TERMINAL = sys.stdout.isatty()
CLEAR = '\x1b[K' if IS_TERMINAL else ''


def main() -> None:
    """Parse the command line and run the demo."""
    parser = argparse.ArgumentParser(description='Count repetitions in a video, or train for it.')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'), metavar='DIR')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--video', type=Path, help='count in this one instead of a generated one')
    what.add_argument('--train', action='store_true', help='train a small model and count with it')
    parser.add_argument('--epochs', type=int, default=4, help='of training, about a minute each')
    args = parser.parse_args()
    if args.train:
        train_and_count(args.work_dir, args.epochs)
    else:
        count(args.work_dir, args.video)


def count(work_dir: Path, video: Path | None) -> None:
    """Count with the shipped model, in a generated video if none is given."""
    start = time.monotonic()
    truth = ''
    if video is None:
        video = work_dir / 'new_video.mp4'
        truth = f'true count: {render_video(video):g}, as the video was generated; '
    say('predict', SHIPPED, video, '--out', work_dir / 'results', '--draw')
    code = mmotion(['predict', SHIPPED, str(video), '--out', f'{work_dir / "results"}', '--draw'])
    if code:
        sys.exit(code)
    print(f'\n{truth}answered in {time.monotonic() - start:.0f} s')
    print('Look at *_overlay.mp4 first: the count runs along in the video.')
    print('\nNext:')
    if truth:
        print('  make demo VIDEO=workout.mp4   count in a video of yours')
    print('  make demo TRAIN=1             train such a model, test it, count: about eight minutes')
    print('  source .venv/bin/activate     then mmotion --help; README.md goes on from here')


def train_and_count(work_dir: Path, epochs: int) -> None:
    """Train a small model, test it, and count with it in a generated video."""
    start = time.monotonic()
    folder, log = work_dir / 'training', work_dir / 'training.log'
    checkpoint = folder / f'epoch_{epochs}.pth'
    folder.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    print(f'Everything that training and testing write: {log}')

    # one that was stopped goes on where it was, and one that was done does not train again
    options = [f'train_cfg.max_epochs={epochs}', 'default_hooks.logger.interval=10']
    run_logged(log, 'train', TRAINED, '--work-dir', folder, '--resume', '--cfg-options', *options)
    few = 'test_dataloader.dataset.num_videos=100'
    run_logged(log, 'test', TRAINED, checkpoint, '--work-dir', folder, '--cfg-options', few)
    video = work_dir / 'new_video.mp4'
    truth = render_video(video)
    out = work_dir / 'results_trained'
    run_logged(log, 'predict', TRAINED, video, '--checkpoint', checkpoint, '--out', out, '--draw')
    counted = json.loads((out / 'new_video.json').read_text(encoding='utf-8'))['count']
    print(f'\n{video}: {counted:.1f} repetitions, true count: {truth:g}')
    print(f'pictures and video: {out}')
    print(f'done in {(time.monotonic() - start) / 60:.1f} minutes')
    print(
        f'\nThis model has seen {epochs} epochs of generated videos and is no match for '
        f'{SHIPPED},\nwhich is what to use on videos of yours: make demo VIDEO=workout.mp4'
    )


def render_video(path: Path) -> float:
    """Write a generated video that is new to the models, and tell its true count."""
    scene = MotionShapes(split='test', size=256)[VIDEO_INDEX]
    with VideoWriter(path, fps=30.0) as writer:
        for frame in scene.frames():
            writer.write(frame)
    return scene.count


def say(*command: str | Path) -> None:
    """Show a command as a user would type it."""
    print('\n$', shlex.join(['mmotion', *map(str, command)]), flush=True)


def run_logged(log: Path, *command: str | Path) -> None:
    """Run one `mmotion` command with its output in a file, and show how far it is.

    Args:
        log: The file, which is appended to.
        command: What to type after `mmotion`.
    """
    say(*command)
    line = [*COMMAND, *map(str, command)]
    options = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'encoding': 'utf-8'}
    last, shown = '', -INTERVAL_S
    with (
        log.open('a', encoding='utf-8') as file,
        subprocess.Popen(line, errors='replace', **options) as process,
    ):
        for text in process.stdout or ():
            file.write(text)
            last = text.strip() if 'error: ' in text else last
            if found := PROGRESS.search(text):
                is_due = time.monotonic() - shown >= INTERVAL_S
                if IS_TERMINAL or is_due:
                    show_progress(**found.groupdict())
                    shown = time.monotonic()
            elif found := METRICS.search(text):
                print(f'  right or off by one in {float(found["obo"]):.0%} of the videos{CLEAR}')
    if process.returncode:
        sys.exit(f'{last}\n{log} has all that mmotion {command[0]} wrote'.strip())


def show_progress(
    what: str, epoch: str | None, step: str, steps: str, left: str, loss: str | None
) -> None:
    """Write one line, over the one before on a terminal."""
    of_epoch = f' epoch {epoch},' if epoch else ''
    of_loss = f', loss {loss}' if loss else ''
    text = f'  {what}:{of_epoch} step {step} of {steps}{of_loss}, {left} left{CLEAR}'
    print(text, end='\r' if IS_TERMINAL else '\n', flush=True)


if __name__ == '__main__':
    main()
