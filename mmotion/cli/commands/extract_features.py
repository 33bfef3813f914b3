"""Write embeddings of videos: what a model knows of them before it decides.

The model looks at each video as in `mmotion predict`; what one of its layers gives is averaged over
place and time. OUT gets a file a video: .npz with `features` (rows, channels), a row a window or
frame, and `start_s` and `end_s` of each where they are known; or .npy with the rows alone.

Example:
    mmotion extract-features timesformer_k400 videos --out features
    mmotion extract-features repnet_small workout.mp4 --layer encoder --format npy
"""

import argparse
from pathlib import Path

from mmotion.cli.shared_arguments import add_config_arguments, read_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion extract-features`."""
    add_config_arguments(parser)
    add = parser.add_argument
    add('videos', metavar='VIDEO', nargs='+', help='a file, a folder, or a pattern in quotes')
    add('--checkpoint', metavar='CKPT', help="weights, if none ship with the config; or 'random'")
    add('--layer', metavar='NAME', help='such as backbone.blocks.3; default: that before the head')
    add('--out', metavar='DIR', type=Path, default=Path('features'), help='default: features')
    add('--format', choices=('npz', 'npy'), default='npz', help='default: npz')
    add('--fps', type=float, metavar='F', help='frames per second of pictures')
    add('--device', metavar='D', help='cpu, cuda, cuda:1, ...')


def run(args: argparse.Namespace) -> int:
    """Go through the videos, and print what was written."""
    from mmotion.atomic import check_writable, keep_files
    from mmotion.video.files import find_videos, name_outputs

    videos = find_videos(args.videos, with_pictures=True)
    check_writable(args.out)
    config = read_config(args.config, args.cfg_options, 'model', 'predictor')
    from mmotion.inference import load_model
    from mmotion.inference.features import extract_features, find_layer
    from mmotion.inference.many_videos import do_each, show_progress

    predictor = load_model(config, args.checkpoint, device=args.device)
    name, layer = find_layer(predictor, args.layer)
    predictor.prepare(videos)

    def extract(video: str, stem: str) -> str:
        path = args.out / f'{stem}.{args.format}'
        with keep_files([Path(video)]):
            features = extract_features(predictor, layer, video, fps=args.fps)
            features.write(path)
        rows, channels = features.values.shape
        return f'{rows} rows of {channels} numbers, layer {name}: {path}'

    named = list(zip(map(str, videos), name_outputs(videos), strict=True))
    return do_each(show_progress(named, 'features'), extract)
