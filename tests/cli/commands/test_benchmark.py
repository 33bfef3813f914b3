from mmotion.cli.catalog import find_systems
from tests.command_lines import check_wrong_use, run


def test_benchmarks_are_listed(tools, capsys):
    code, out, _ = run(capsys, 'benchmark')
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ['one', 'two-ways']


def test_a_benchmark_is_run(tools, capsys):
    code, out, _ = run(capsys, 'benchmark', 'two-ways', 'x')
    assert (code, out) == (0, "['mmotion benchmark two-ways', 'x'] analysis\n")


def test_an_unknown_benchmark(tools, capsys):
    check_wrong_use(capsys, ['benchmark', 'on'], "SYSTEM must be one of one, two-ways, got 'on'")


def test_every_benchmark_of_the_project_is_that_of_a_system_or_of_all(capsys):
    code, out, _ = run(capsys, 'benchmark')
    assert code == 0
    others = {'all', 'decoding', 'embedding-cache', 'long-inputs'}
    systems = {name.replace('_', '-') for name in find_systems()}
    assert {line.split()[0] for line in out.splitlines()} <= systems | others
