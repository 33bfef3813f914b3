import subprocess
import sys

import pytest

from tests.command_lines import check_wrong_use, run

WRONG_USE = {
    'unknown kind': (['list', 'model'], "did you mean 'models'?"),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def test_configs_are_listed(capsys):
    code, out, _ = run(capsys, 'list')
    assert code == 0
    assert 'example_project_dots' in out


@pytest.mark.parametrize('words', ['--help', 'list', 'list systems', 'list models', 'list hooks'])
def test_nothing_heavy_is_imported(words):
    code = (
        f'import sys; from mmotion.cli import main; code = main({words.split()}); '
        'print(*[name for name in ("torch", "mmengine", "numpy", "cv2") if name in sys.modules], '
        'file=sys.stderr); sys.exit(code)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert done.stdout
