"""The arguments of the commands of `mmotion.cli`; imports nothing heavy."""

import argparse

DETECTOR_HELP = """detectors of people and keypoints, and what FILE is for each:
  keypoint_rcnn  17 points of COCO, by torchvision; its weights (.pth), downloaded if left out
  mediapipe      33 points; a Pose Landmarker bundle (.task), needed; pip install "mmotion[pose]"
  rtmlib         17 points of COCO, by RTMPose; a folder with a yolox*.onnx and an rtmpose*.onnx, or
                 an RTMO model (.onnx), downloaded if left out; pip install rtmlib onnxruntime
"""


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion train`."""
    _add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on from a checkpoint, by default from the last one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--compile', action='store_true', help='compile the training step')
    parser.add_argument('--seed', type=int, help='seed of all random numbers')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate by the batch size'
    )
    parser.add_argument('--no-validate', action='store_true', help='skip validation')


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of `mmotion test`."""
    _add_run_arguments(parser, checkpoint=True)
    parser.add_argument('--dump', metavar='FILE', help='write all results to a .json or .pkl file')
    parser.add_argument('--show-dir', metavar='DIR', help='draw all results into a folder')


def _add_run_arguments(parser: argparse.ArgumentParser, *, checkpoint: bool = False) -> None:
    """Add what training and testing share."""
    _add_config_arguments(parser)
    if checkpoint:
        parser.add_argument(
            'checkpoint',
            metavar='CHECKPOINT',
            nargs='?',
            help='weights; left out: those that ship with the config',
        )
    parser.add_argument('--work-dir', metavar='DIR', help='folder for logs and checkpoints')
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm'),
        help='what started the processes of a distributed run',
    )
    # launchers before torchrun tell the rank by an argument
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of `mmotion predict`."""
    _add_config_arguments(parser)
    parser.add_argument(
        'videos',
        metavar='VIDEO',
        nargs='+',
        help='a file, a folder of videos, a folder of pictures, or a pattern in quotes',
    )
    parser.add_argument(
        '--fps', type=float, metavar='F', help='frames per second of folders of pictures'
    )
    parser.add_argument(
        '--checkpoint', metavar='CKPT', help='trained weights, if none ship with the config'
    )
    parser.add_argument('--out', metavar='DIR', default='results', help='default: results')
    parser.add_argument('--draw', action='store_true', help='draw the results into pictures')
    parser.add_argument(
        '--attention', action='store_true', help='draw where the model looks, if it can tell'
    )
    parser.add_argument(
        '--export',
        nargs='+',
        action='extend',
        default=[],
        metavar='FORMAT',
        help='write files for other programs too, in formats that the predictor knows',
    )
    parser.add_argument(
        '--json-lines',
        metavar='FILE',
        help='write each result while a video goes on as a line of JSON, to FILE or - for stdout, '
        'and nothing else',
    )
    parser.add_argument('--start', type=float, default=0.0, metavar='S', help='from second S on')
    parser.add_argument('--end', type=float, metavar='S', help='up to second S')
    parser.add_argument(
        '--regions',
        nargs='+',
        action='extend',
        metavar='BOX',
        help='look at parts of the picture, each by itself: [NAME=]X1,Y1,X2,Y2 in pixels, or a '
        'JSON file of regions or of what a detector has found',
    )
    parser.add_argument(
        '--region-margin',
        type=float,
        metavar='SHARE',
        help='part of its width and height to see around a region; default: 0.1',
    )
    _add_detector_arguments(parser, 'where the model reads keypoints: find them by this detector')
    parser.add_argument('--device', metavar='D', help='cpu, cuda, cuda:1, ...')


def add_extract_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of `mmotion extract-keypoints`."""
    parser.add_argument(
        'videos', metavar='VIDEO', nargs='+', help='a file, a folder, or a pattern in quotes'
    )
    _add_detector_arguments(parser, 'what finds people; default: keypoint_rcnn')
    parser.add_argument(
        '--every', type=int, default=5, metavar='N', help='look at every N-th frame; default: 5'
    )
    parser.add_argument(
        '--keep',
        choices=('all', 'best', 'largest'),
        default='all',
        help='all people, tracked (default), or one of each frame, by score or by size',
    )
    parser.add_argument('--out', metavar='DIR', default='keypoints', help='default: keypoints')
    parser.add_argument(
        '--workers',
        type=int,
        default=1,
        metavar='N',
        help='videos at a time, each with a detector of its own; keypoint_rcnn uses all cores by '
        'itself; default: 1',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=4,
        metavar='N',
        help='frames at a time for keypoint_rcnn; default: 4',
    )
    parser.add_argument('--device', metavar='D', help='cpu, cuda, cuda:1, ...')


def _add_detector_arguments(parser: argparse.ArgumentParser, summary: str) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = DETECTOR_HELP
    parser.add_argument('--detector', metavar='NAME', help=summary)
    parser.add_argument('--model-path', metavar='FILE', help='model of the detector, see below')


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of `mmotion list`."""
    parser.add_argument(
        'kind',
        nargs='?',
        default='configs',
        help='configs (default), systems, models, datasets, transforms, metrics, hooks, ...',
    )


def add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of `mmotion convert`."""
    parser.add_argument('system', metavar='SYSTEM', help='see "mmotion list systems"')
    parser.add_argument('source', metavar='SRC', help='released checkpoint')
    parser.add_argument('target', metavar='DST', help='file to write')


def _add_config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', metavar='CONFIG', help='a file, or the name of a bundled config')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        type=_key_value,
        metavar='KEY=VALUE',
        help='change values of the config, e.g. optim_wrapper.optimizer.lr=0.1',
    )


def _key_value(text: str) -> str:
    key, separator, _ = text.partition('=')
    if not (key and separator):
        raise argparse.ArgumentTypeError(f'must be KEY=VALUE, got {text!r}')
    return text
