"""Draw what a model sees: samples of a data set, after the pipeline of a config.

Written to OUT: `<config>_<split>.png`, a row of frames for each sample and view, with its name and
label above; with --videos also `<config>_<split>_<index>.mp4`. Keypoints are drawn as skeletons.

Example:
    mmotion browse-dataset repnet_shapes
    mmotion browse-dataset pose_simclr_shapes --split train -n 4 --shuffle --videos
"""

import argparse
from pathlib import Path

from mmotion.cli.shared_arguments import add_config_arguments, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion browse-dataset`."""
    add_config_arguments(parser)
    add = parser.add_argument
    add('--split', choices=('train', 'val', 'test'), default='train', help='default: train')
    add('-n', '--number', type=int, default=8, metavar='N', help='samples; default: 8')
    add('--frames', type=int, default=8, metavar='N', help='most frames in a row; default: 8')
    add('--shuffle', action='store_true', help='any samples, not the first ones')
    add('--seed', type=int, default=0, help='of --shuffle and of the pipeline; default: 0')
    add('--videos', action='store_true', help='write each sample as a video, too')
    add('--out', type=Path, default=Path('browse'), metavar='DIR', help='default: browse')


def run(args: argparse.Namespace) -> int:
    """Draw the samples, and print what was written."""
    for option in ('number', 'frames'):
        if getattr(args, option) < 1:
            raise ValueError(f'--{option} must be at least 1, got {getattr(args, option)}')
    loader = f'{args.split}_dataloader'
    config = read_config(args.config, args.cfg_options, loader)
    import random

    from mmengine.runner import set_random_seed

    from mmotion.cli.sample_sheet import describe_sample, draw_views, make_sheet
    from mmotion.registry import DATASETS
    from mmotion.transforms.preprocessing import draw_scenes
    from mmotion.video import VideoWriter
    from mmotion.video.pictures import write_picture
    from mmotion.visualization.drawing import enlarge

    set_random_seed(args.seed)
    dataset = DATASETS.build(config[loader].dataset)
    number = min(args.number, len(dataset))
    indices = range(number)
    if args.shuffle:
        indices = sorted(random.Random(args.seed).sample(range(len(dataset)), number))
    preprocessor = (config.get('model') or {}).get('data_preprocessor') or {}
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes', ())
    stem = f'{Path(str(config.filename)).stem}_{args.split}'
    samples, shapes = {}, set()
    for index in indices:
        item = dataset[index]
        inputs = draw_scenes([item['inputs']], 'cpu')[0]
        info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
        views = draw_views(
            inputs,
            skeleton=info.get('skeleton'),
            frames_first=preprocessor.get('format_shape') == 'NCHW',
        )
        title = f'{index}  {describe_sample(item["data_samples"], classes)}'
        samples[title] = views
        shapes.add(f'{tuple(inputs.shape)} {inputs.dtype}')
        if args.videos:
            fps = float(item['data_samples'].metainfo.get('fps', 10.0))
            with VideoWriter(args.out / f'{stem}_{index}.mp4', fps=fps) as writer:
                for frame in (frame for view in views for frame in view):
                    writer.write(enlarge(frame))
    file = args.out / f'{stem}.png'
    sheet = make_sheet(samples, num_frames=args.frames)
    write_picture(file, sheet)
    print(f'{number} of {len(dataset):,} samples, inputs {", ".join(sorted(shapes))}: {file}')
    return 0
