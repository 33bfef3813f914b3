"""docs/add_a_system.md: a module from a folder outside of the checkout trains."""

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
GUIDE = (CHECKOUT / 'docs' / 'add_a_system.md').read_text()
# the code blocks, by the file that their first line names
BLOCKS = re.findall(r'^```python\n# (\S+)\n(.*?)^```', GUIDE, flags=re.DOTALL | re.MULTILINE)


def test_a_backbone_from_elsewhere_trains(tmp_path):
    plugin, elsewhere = tmp_path / 'plugin', tmp_path / 'elsewhere'
    plugin.mkdir()
    elsewhere.mkdir()
    files = {name: block for name, block in BLOCKS if '/' not in name}
    assert set(files) == {'two_frame_net.py', 'dots.py'}
    for name, block in files.items():
        (plugin / name).write_text(block)

    command = [sys.executable, CHECKOUT / 'tools' / 'train.py', '../plugin/dots.py']
    command += ['--work-dir', 'runs', '--cfg-options', 'default_hooks.logger.interval=1']
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert 'Epoch(train) [1][8/8]' in done.stdout + done.stderr
    assert (elsewhere / 'runs' / 'epoch_1.pth').is_file()
