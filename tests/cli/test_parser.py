import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmotion.atomic import check_not_kept, write_atomically
from mmotion.cli import main
from mmotion.cli.discovery import find_commands
from mmotion.cli.parser import NOBODY_READS, OUTPUTS, build_parser, shorten_worker_error
from mmotion.keypoints.detectors import DETECTORS
from tests.command_lines import TOY, check_wrong_use, run

ROOT = Path(__file__).resolve().parents[2]
WRONG_USE = {
    'no command': ([], 'usage: mmotion'),
    'unknown command': (['trian'], "got 'trian'; did you mean 'train'?"),
    'no such command': (['zzz'], 'got \'zzz\'; "mmotion --help" lists them'),
    'unknown flag without a command': (['--sede'], 'unrecognized arguments: --sede'),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


@pytest.mark.parametrize('name', find_commands())
def test_every_command_has_a_help(capsys, name):
    code, out, _ = run(capsys, name, '--help')
    assert code == 0
    assert out.startswith(f'usage: mmotion {name} ')


def test_help_lists_every_command(capsys):
    code, out, _ = run(capsys, '--help')
    assert code == 0
    for name, command in find_commands().items():
        assert any(line.split()[:1] == [name] for line in out.splitlines())
        assert command.summary in out


def test_version(capsys):
    code, out, _ = run(capsys, '--version')
    assert (code, out.split()[0]) == (0, 'mmotion')


def test_a_reader_may_have_enough():
    """As in `mmotion list systems | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, '-m', 'mmotion.cli', 'list', 'systems']
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writer)
    assert (done.returncode, done.stderr) == (NOBODY_READS, '')


@pytest.mark.parametrize('name', find_commands())
def test_a_reader_of_any_command_may_have_enough(name, monkeypatch):
    """As in `mmotion list --help | head -1`, and `2>&1 | head -1`."""
    for where in ('stdout', 'stderr'):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, 'w') as stream, monkeypatch.context() as patch:
            patch.setattr(sys, where, stream)
            words = ['--help'] if where == 'stdout' else ['--no-such-option']
            assert main([name, *words]) == NOBODY_READS


def test_a_logger_that_nobody_reads_ends_a_command(monkeypatch, capsys):
    module = find_commands()['list'].load()
    logged = []

    class Handler(logging.Handler):
        def emit(self, record):
            logged.append(record)
            try:
                raise errors[len(logged) - 1]
            except OSError:
                self.handleError(record)

    def log(args):
        logger = logging.Logger('training')
        logger.addHandler(Handler())
        logger.error('one')
        logger.error('two')
        raise AssertionError('nobody reads')

    errors = [OSError('full'), BrokenPipeError('gone')]
    monkeypatch.setattr(module, 'run', log)
    monkeypatch.setattr(type(find_commands()['list']), 'load', lambda self: module)
    assert main(['list', 'systems']) == NOBODY_READS
    assert len(logged) == 2
    # any other fault of a logger is shown, as before
    error = capsys.readouterr().err
    assert 'OSError: full' in error and 'gone' not in error


# a name that is no UTF-8, and one that this terminal has no letters for
NAMES = ['caf\udce9.mp4', '\u51fa\u529b.mp4']


@pytest.mark.parametrize('encoding', ['ascii', 'utf-8'])
def test_what_a_terminal_cannot_show_stops_nothing(encoding):
    script = (
        'import sys\nfrom mmotion.cli.commands import list as command\n'
        'from mmotion.cli import main\n'
        f'command.run = lambda args: [print(n, file=f) for n in {NAMES!a} '
        'for f in (sys.stdout, sys.stderr)] and 0\n'
        "sys.exit(main(['list', 'systems']))"
    )
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, cwd=ROOT,
        env=os.environ | {'PYTHONIOENCODING': f'{encoding}:strict'},
    )  # fmt: skip
    assert done.returncode == 0
    shown = [name.encode(encoding, 'backslashreplace') for name in NAMES]
    assert done.stdout.splitlines() == shown
    assert done.stderr.splitlines()[-2:] == shown


def test_streams_that_are_closed_or_full():
    command = f'{sys.executable} -m mmotion.cli list systems'
    done = subprocess.run(f'{command} >&- 2>&-', shell=True, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')
    if Path('/dev/full').exists():
        done = subprocess.run(f'{command} > /dev/full', shell=True, cwd=ROOT, capture_output=True)
        assert done.returncode
        assert b'No space left on device' in done.stderr
        assert b'Traceback' not in done.stderr and b'Exception ignored' not in done.stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_that_cleans_up(folder, monkeypatch, capsys, number):
    module = find_commands()['list'].load()

    def write(args):
        with write_atomically('new.txt') as temporary:
            temporary.write_text('half')
            os.kill(os.getpid(), number)
            raise AssertionError('the signal was not heard')

    before = signal.getsignal(number)
    monkeypatch.setattr(module, 'run', write)
    monkeypatch.setattr(type(find_commands()['list']), 'load', lambda self: module)
    files = sorted(folder.iterdir())
    assert run(capsys, 'list', 'systems')[0] == 128 + number
    assert sorted(folder.iterdir()) == files
    assert signal.getsignal(number) == before


def test_debug_shows_the_traceback(folder, monkeypatch):
    with pytest.raises(FileNotFoundError):
        main(['train', 'no.py', '--debug'])
    monkeypatch.setenv('MMOTION_DEBUG', '1')
    with pytest.raises(FileNotFoundError):
        main(['train', 'no.py'])


def test_a_defect_is_not_taken_for_wrong_use(folder, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('a defect')

    monkeypatch.setattr('mmotion.config.load_config', fail)
    with pytest.raises(RuntimeError, match='a defect'):
        main(['train', TOY])


def test_help_of_a_detector_names_the_files(capsys):
    for command in ('predict', 'extract-keypoints'):
        code, out, _ = run(capsys, command, '--help')
        assert code == 0
        assert all(name in out for name in DETECTORS)


def test_arguments_may_depend_on_others(monkeypatch):
    command = find_commands()['list']
    module = command.load()

    def add_more(parser, words):
        parser.add_argument(f'--{words[0]}-too')

    monkeypatch.setattr(module, 'add_more_arguments', add_more, raising=False)
    parser = build_parser(command, module, ['hooks'])
    assert parser.parse_args(['hooks', '--hooks-too', '1']).hooks_too == '1'


@pytest.mark.parametrize(
    'words',
    [
        ['publish', 'in.file', 'in.file'],
        ['convert', 'repnet', 'in.file', './in.file'],
        ['print-config', 'in.py', '--out', 'in.py'],
        ['analyze-logs', 'in.file', '--out', 'in.file'],
        ['test', 'in.py', 'in.file', '--dump', 'in.file'],
        ['predict', 'in.py', 'clip.mp4', '--json-lines', 'in.py'],
        ['group-sequences', 'in.file', 'in.file'],
        ['convert-keypoints', '--to', 'coco', 'in.file', 'in.file'],
    ],
    ids=lambda words: words[0],
)
def test_what_a_command_reads_it_cannot_write(folder, words, monkeypatch):
    """The files that are named to be read are kept while a command runs, and no others."""
    for name in ('in.file', 'in.py', 'old.txt'):
        (folder / name).write_text('kept')
    command = find_commands()[words[0]]
    module = command.load()

    def write(args):
        with write_atomically('old.txt') as temporary:
            temporary.write_text('new')
        with write_atomically(words[-1]) as temporary:
            temporary.write_text('lost')

    monkeypatch.setattr(module, 'run', write)
    monkeypatch.setattr(type(command), 'load', lambda self: module)
    assert main(words) == 2
    assert [(folder / name).read_text() for name in ('in.file', 'in.py', 'old.txt')] == [
        'kept',
        'kept',
        'new',
    ]
    # nothing is kept once it has ended
    check_not_kept(words[-1])


def test_every_command_calls_what_it_writes_by_the_same_words():
    known = OUTPUTS | {'model_path'}
    for name, command in find_commands().items():
        module = command.load()
        parser = build_parser(command, module, [])
        for action in parser._actions:
            writes = re.match('(write|draw|file or folder to write)', action.help or '')
            if writes and action.metavar in ('FILE', 'DIR', 'OUT', 'DST', 'TARGET'):
                assert action.dest in known, (name, action.dest)


def test_an_error_of_a_data_worker_is_told_without_its_traceback():
    text = (
        'Caught VideoError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
        'last):\n  File "clips.py", line 45\n    raise VideoError(x)\n'
        'mmotion.video.scan.VideoError: a video at least must be readable, got 8 of 8: x\n'
    )
    assert shorten_worker_error(text) == 'a video at least must be readable, got 8 of 8: x'
    assert shorten_worker_error('size: 3 must be 4') == 'size: 3 must be 4'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        pytest.param('--version', '', id='version'),
        pytest.param('--help', '', id='help'),
        pytest.param('list', '', id='list'),
        pytest.param('list systems', '', id='systems'),
        pytest.param('list modles', "did you mean 'models'?", id='unknown kind'),
        pytest.param('prdict c v.mp4', "did you mean 'predict'?", id='unknown command'),
        pytest.param('predict toyy clip.mp4', 'config must be a file', id='unknown config'),
        pytest.param('predict toyy no.mp4', "got 'no.mp4', which is not there", id='no video'),
        pytest.param('train toyy', 'config must be a file', id='unknown config of train'),
        pytest.param('flops toyy', 'config must be a file', id='unknown config of flops'),
        pytest.param(
            'evaluate-counts toyy counts.csv',
            'config must be a file or the name',
            id='unknown config of counts',
        ),
    ],
)
def test_what_needs_no_model_does_not_import_torch(folder, words, message):
    code = (
        'import sys; from mmotion.cli import main; code = main(sys.argv[1:]); '
        "print('torch' in sys.modules, code)"
    )
    line = [sys.executable, '-c', code, *words.split()]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f'False {2 if message else 0}'
    assert message in done.stderr
