from mmotion.cli import main
from tests.command_lines import TOY, run


def test_a_report_of_what_was_predicted(folder, capsys, checkpoint):
    assert main(['predict', TOY, 'clip.mp4', '--checkpoint', str(checkpoint)]) == 0
    for _ in range(2):
        code, out, _ = run(capsys, 'report', 'results')
        assert code == 0 and out.endswith('results/report.html\n')
    assert run(capsys, 'report', 'results', '--html', 'page.html', '--title', 'Tuesday')[0] == 0
    assert '<h1>Tuesday</h1>' in (folder / 'page.html').read_text()


def test_a_result_is_not_written_over(folder, capsys):
    code, _, error = run(capsys, 'report', 'results', '--html', 'results/clip.json')
    assert code == 2
    assert '--html must end in .html, got --html results/clip.json' in error
