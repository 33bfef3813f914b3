"""A user's first runs with released weights, from a hub that fails as networks do.

`pytest -s -m slow tests/projects/timesformer/test_first_run.py` shows what the user sees.
"""

import os
import subprocess
import sys
import time

import pytest

from tests.repetition_files import write_video

REPO = 'facebook/timesformer-base-finetuned-k400'
WEIGHTS = f'{REPO}/pytorch_model.bin'
# as wide and deep as a file of 30 MB, of which one chunk of 10 MB is kept when it breaks off
SIZES = dict(embed_dim=384, depth=3, num_heads=6)
SMALLER = [f'model.backbone.vit.{key}={value}' for key, value in SIZES.items()]
PREDICT = ['predict', 'timesformer_k400', 'clip.mp4', '--cfg-options', *SMALLER]
PREDICT += ['model.cls_head.in_channels=384', '--out']


def stock(hub, transformers, folder):
    """Put a small model in the layout of the released one on the hub."""
    config = transformers.TimesformerConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=3, num_attention_heads=6,
        id2label={i: f'action {i}' for i in range(400)},
    )  # fmt: skip
    import torch

    model = transformers.TimesformerForVideoClassification(config)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / 'pytorch_model.bin')
    for name in ('config.json', 'pytorch_model.bin'):
        hub.files[f'{REPO}/{name}'] = (folder / name).read_bytes()


class Terminal:
    """Runs `mmotion` and shows what it says."""

    def __init__(self, folder, hub):
        self.folder, self.hub = folder, hub
        self.environment = {**os.environ, 'HF_HUB_DISABLE_XET': '1'}

    def start(self, *words):
        command = 'import sys; from mmotion.cli import main; sys.exit(main())'
        return subprocess.Popen(
            [sys.executable, '-c', command, *words],
            cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def finish(self, process, start_s):
        text = process.communicate(timeout=300)[0]
        seconds = time.monotonic() - start_s
        print(f'\n$ mmotion {" ".join(process.args[3:])}   # {seconds:.1f} s\n{text}')
        print(f'asked of the hub: {self.hub.requests or "nothing"}')
        return process.returncode, text

    def run(self, *words):
        self.hub.requests.clear()
        start_s = time.monotonic()
        return self.finish(self.start(*words), start_s)


@pytest.mark.slow
def test_the_first_runs_of_a_user(hub, tmp_path):
    transformers = pytest.importorskip('transformers')
    stock(hub, transformers, tmp_path)
    write_video(tmp_path / 'clip.mp4')
    terminal = Terminal(tmp_path, hub)

    def line_of(name):
        code, text = terminal.run('models')
        assert code == 0
        return next(line for line in text.splitlines() if line.split()[:1] == [name])

    assert '486 MB' in line_of('timesformer_base_k400')

    # two processes at once, the connection broken in the middle: one download, which goes on
    hub.requests.clear()
    hub.faults[WEIGHTS] = ['cut']
    start_s = time.monotonic()
    both = [terminal.start(*PREDICT, out) for out in ('one', 'two')]
    for process in both:
        code, text = terminal.finish(process, start_s)
        assert code == 0 and 'licence CC-BY-NC-4.0' in text
    assert hub.downloads(WEIGHTS) == ['', f'bytes={10 << 20}-']

    # the second run takes it from the cache
    assert terminal.run(*PREDICT, 'three')[0] == 0
    assert not hub.requests
    results = [(tmp_path / out / 'clip.json').read_text() for out in ('one', 'two', 'three')]
    assert results[0] == results[1] == results[2]
    assert '"action ' in results[0] and 'CC-BY-NC-4.0' in results[0]

    # not the file whose hash is known
    hub.files['materight/repnet/pytorch_weights.pth'] = b'other weights'
    code, text = terminal.run('download', 'repnet_released')
    assert code and 'must be the file with the SHA-256 649ab92e22ff6d5a' in text

    # without a network: what is here works, and what is not is named with three ways
    terminal.environment['HF_ENDPOINT'] = 'http://127.0.0.1:9'
    assert terminal.run(*PREDICT, 'four')[0] == 0
    code, text = terminal.run('download', 'timesformer_base_k600')
    assert code and '3. by hand: download https://huggingface.co/facebook/timesformer' in text
    assert 'here' in line_of('timesformer_base_k400')
    assert '487 MB' in line_of('timesformer_base_k600')
