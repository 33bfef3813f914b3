"""The table of long inputs: what is written for it, and which of two runs stands over the other."""

from pathlib import Path

import pytest

from mmotion.keypoints.files import read_poses
from mmotion.video.scan import scan_video


@pytest.fixture
def tool(import_script):
    return import_script('benchmark_long_inputs')


def test_inputs_are_as_long_as_they_should_be(tool, tmp_path):
    assert (
        scan_video(tool.write_video(tmp_path / 'a.mp4', 12, (64, 48), fps=10)).info.num_frames == 12
    )
    assert len(read_poses(tool.write_keypoints(tmp_path / 'a.json', 12, fps=10)).frames) == 12


@pytest.mark.parametrize(
    ('options', 'tenth', 'whole'),
    [
        (['--seconds', '4'], (4, 1, 0), (40, 1, 0)),
        (['--seconds', '1', '--videos', '20'], (10, 2, 0), (10, 20, 0)),
        (['--seconds', '1', '--regions', '30'], (10, 1, 3), (10, 1, 30)),
    ],
    ids=['length', 'videos', 'regions'],
)
def test_a_row_compares_with_a_tenth(tool, monkeypatch, capsys, options, tenth, whole):
    seen = []

    def measure(config: str, inputs: list[Path], folder: Path, *words: str):
        frames = scan_video(inputs[0]).info.num_frames
        seen.append((frames, len(inputs), max(len(words) - 1, 0)))
        return 100.0 * len(seen), 1.0, 5

    monkeypatch.setattr(tool, 'measure', measure)
    monkeypatch.setattr('sys.argv', ['benchmark', '--systems', 'bkind', *options])
    tool.main()
    assert seen == [tenth, whole]
    # 200 MB beside 100
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ['bkind', '200', '100', '2.000']
