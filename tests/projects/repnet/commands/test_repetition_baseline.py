"""The baselines as a command."""

from mmotion.cli import main


def test_baselines_count_in_a_table(video, tmp_path, capsys):
    table = tmp_path / 'counts.csv'
    table.write_text('file,start_s,end_s,count\na.mp4,0,5,5\nmissing.mp4,0,1,3\n')
    assert main(['repetition-baseline', str(table)]) == 0
    printed = capsys.readouterr()
    assert 'a 0-5 s: true 5, PCA of frames 5.0, PCA of flow 5.' in printed.out
    assert printed.out.count('count/OBZ: 1.000') == 2
    assert 'missing 0-1 s: left out' in printed.err
