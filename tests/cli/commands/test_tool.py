from tests.command_lines import check_wrong_use, run


def test_scripts_are_listed(tools, capsys):
    code, out, _ = run(capsys, 'tool')
    assert code == 0
    # what prepare and benchmark run is listed there
    assert [line.split()[0] for line in out.splitlines()] == ['demo']


def test_a_script_is_run_with_its_options(tools, capsys):
    code, out, _ = run(capsys, 'tool', 'demo', '--help')
    assert (code, out) == (0, "['mmotion tool demo', '--help'] tools\n")


def test_an_error_of_a_script_is_answered_in_one_line(tools, capsys):
    check_wrong_use(capsys, ['tool', 'demo', 'broken'], 'mmotion: error: a wrong word')


def test_an_unknown_script(tools, capsys):
    check_wrong_use(capsys, ['tool', 'demoo'], "got 'demoo'; did you mean 'demo'?")
