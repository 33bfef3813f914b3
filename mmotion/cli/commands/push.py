"""Upload a published model to the Hugging Face Hub, from where `load_model` reads it.

Needs a token with the right to write, from "hf auth login" or in HF_TOKEN.

Example:
    mmotion push repnet_small me/squat-counter --private
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mmotion push`."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='from "mmotion publish"')
    parser.add_argument('repo', metavar='OWNER/NAME', help='repository, made if need be')
    parser.add_argument('--private', action='store_true', help='make it visible to you alone')
    parser.add_argument('--message', default='Upload a model of mmotion', help='of the commit')


def run(args: argparse.Namespace) -> int:
    """Upload, and print how to use it."""
    from mmotion.inference.published import is_published

    if not is_published(args.folder):
        raise ValueError(
            f'FOLDER must be one that "mmotion publish" wrote, got {args.folder}; publish first'
        )
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(args.repo, private=args.private, exist_ok=True)
        # what lies beside it in the folder is not for everybody
        names = ['model.safetensors', 'config.json', 'README.md', 'SHA256SUMS']
        url = api.upload_folder(
            repo_id=args.repo,
            folder_path=args.folder,
            allow_patterns=names,
            commit_message=args.message,
        )
    except Exception as error:
        # beside its own errors come those of what it uploads with, which depends on its version
        raise ValueError(
            f'OWNER/NAME must be a repository that you may write to, got {args.repo} '
            f'({type(error).__name__}: {next(iter(str(error).splitlines()), "")}); log in with '
            '"hf auth login", and check the network'
        ) from error
    print(f"{url}\nload_model('hf:{args.repo}')")
    return 0
