"""Write a trained model to one file that runs without PyTorch, and try it.

The file holds the network, the weights and what "mmotion predict FILE.onnx VIDEO" needs to know. It
is kept once its runtime has answered for a video as the model itself does.

Example:
    mmotion export repnet_small --out repnet_small.onnx --video workout.mp4
    mmotion predict repnet_small.onnx workout.mp4
"""

import argparse
import tempfile
from pathlib import Path

from mmotion.cli.shared_arguments import add_config_arguments, read_config

FORMATS = {'onnx': '.onnx', 'torch-export': '.pt2', 'openvino': '.xml'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion export`."""
    add_config_arguments(parser)
    parser.add_argument(
        'checkpoint',
        metavar='CHECKPOINT',
        nargs='?',
        help="trained weights, if none ship with the config; 'random': an untrained model",
    )
    parser.add_argument('--format', choices=FORMATS, default='onnx', help='default: onnx')
    parser.add_argument(
        '--half', action='store_true', help='round matrices to float16, which halves the file'
    )
    parser.add_argument('--out', metavar='FILE', required=True, type=Path, help='file to write')
    parser.add_argument(
        '--video',
        metavar='VIDEO',
        required=True,
        type=Path,
        help='what the file is tried with: a video, or keypoints, like those that it will see',
    )


def run(args: argparse.Namespace) -> int:
    """Export one model and print how it compares."""
    suffix = FORMATS[args.format]
    if args.out.suffix != suffix:
        raise ValueError(f'--out must end in {suffix} for this format, got {args.out}')
    if not args.video.exists():
        raise FileNotFoundError(f'--video must be there, got {args.video}')
    config = read_config(args.config, args.cfg_options, 'model', 'predictor', 'test_pipeline')
    from mmotion.inference import load_model
    from mmotion.inference.export import (
        MAX_DIFFERENCE,
        MAX_HALF_DIFFERENCE,
        compare_file,
        export_model,
    )
    from mmotion.tables import as_markdown

    predictor = load_model(config, args.checkpoint, device='cpu')
    limit = MAX_HALF_DIFFERENCE if args.half else MAX_DIFFERENCE
    # in a folder of its own first, as OpenVINO writes two files
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        tried = Path(folder) / args.out.name
        export_model(predictor, tried, checkpoint=args.checkpoint, half=args.half)
        found = compare_file(predictor, tried, args.video, limit=limit)
        written = sorted(Path(folder).iterdir())
        size = sum(file.stat().st_size for file in written)
        for file in written:
            file.replace(args.out.parent / file.name)
    weights = sum(values.nbytes for values in predictor.model.state_dict().values())
    rows = (
        ('PyTorch', weights, found.eager_s, '0'),
        (args.out.name, size, found.file_s, f'{found.difference:.1e}'),
    )
    table = [
        {
            'model': name,
            'MB': f'{size / 1e6:.1f}',
            'frames a second': f'{found.num_frames / seconds:.1f}',
            'times as fast': f'{found.eager_s / seconds:.2f}',
            'largest relative difference': difference,
        }
        for name, size, seconds, difference in rows
    ]
    print(as_markdown(table))
    return 0
