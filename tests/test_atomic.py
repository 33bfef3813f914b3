import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from mmotion.atomic import (
    check_not_kept,
    check_writable,
    hold_folder,
    keep_files,
    write_atomically,
)

FORK = multiprocessing.get_context('fork')


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / 'result.json'
    target.write_text('old')
    with pytest.raises(RuntimeError, match='half way'), write_atomically(target) as temporary:
        temporary.write_text('ne')
        raise RuntimeError('half way')
    assert [p.name for p in tmp_path.iterdir()] == ['result.json']
    assert target.read_text() == 'old'


def end_in_child(function):
    """Run a function in another process that is killed at its end."""

    def run():
        function()
        os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return process.pid


def leave_half(folder, name='result.json'):
    """Be killed while a file is written."""
    end_in_child(lambda: write_atomically(folder / name).__enter__().write_text('half'))
    (left,) = folder.glob('.*')
    return left


def test_what_a_killed_run_left_is_removed_by_the_next_writer(tmp_path):
    left = leave_half(tmp_path / 'a')
    with write_atomically(tmp_path / 'a' / 'another.json') as temporary:
        temporary.write_text('new')
    assert [p.name for p in (tmp_path / 'a').iterdir()] == ['another.json']
    assert re.fullmatch(r'\.result\.[0-9a-f]{8}-\d+-\d+\.partial\.json', left.name)


def test_what_may_still_be_written_is_left_alone(tmp_path):
    left = leave_half(tmp_path)
    machine, process = re.findall(r'\.([0-9a-f]{8})-(\d+)-', left.name)[0]
    others = {
        # on another machine, of a living process, of somebody else's, and a file of the user
        left.name.replace(machine, '0' * 8),
        left.name.replace(process, str(os.getppid())),
        left.name.replace(process, '1'),
        '.result.partial.json',
    }
    for name in others:
        (tmp_path / name).touch()
    with write_atomically(tmp_path / 'result.json') as temporary:
        temporary.write_text('new')
    assert {p.name for p in tmp_path.iterdir()} == {*others, 'result.json'}


def test_readers_never_see_half_a_file_of_two_writers(tmp_path):
    target = tmp_path / 'result.txt'

    def write(word):
        for _ in range(40):
            with write_atomically(target) as temporary, temporary.open('w') as file:
                for _ in range(20):
                    file.write(word * 1000)
                    file.flush()

    writers = [FORK.Process(target=write, args=(word,)) for word in 'ab']
    # two threads of one process do not share a name either
    writers.append(threading.Thread(target=write, args=('c',)))
    writers.append(threading.Thread(target=write, args=('d',)))
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if target.exists():
            text = target.read_text()
            assert text == text[0] * 20_000
    assert [writer.exitcode for writer in writers[:2]] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == ['result.txt']


@pytest.mark.parametrize('stem', ['x' * 251, 'ü' * 125], ids=['ascii', 'two bytes'])
def test_the_longest_name(tmp_path, stem):
    with write_atomically(tmp_path / f'{stem}.txt') as temporary:
        temporary.write_text('x')
    assert (tmp_path / f'{stem}.txt').read_text() == 'x'


HOLD = """
import sys, time
from mmotion.atomic import hold_folder
with hold_folder(sys.argv[1], remedy='wait'):
    print('held', flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    command = [sys.executable, '-c', HOLD, tmp_path / 'run']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == 'held\n'
        with (
            pytest.raises(ValueError, match=rf'got process {other.pid} on .+, since .+; wait'),
            hold_folder(tmp_path / 'run', remedy='wait for it'),
        ):
            pass
        # a process that is dead holds nothing, and what it noted does not block
        other.kill()
    assert f'process {other.pid}' in (tmp_path / 'run' / '.lock').read_text()
    for _ in range(2):
        with hold_folder(tmp_path / 'run', remedy='wait for it'):
            assert f'process {os.getpid()}' in (tmp_path / 'run' / '.lock').read_text()


def test_a_forked_worker_that_lives_on_holds_nothing(tmp_path):
    with hold_folder(tmp_path, remedy='wait'):
        worker = FORK.Process(target=signal.pause)
        worker.start()
    with hold_folder(tmp_path, remedy='wait'):
        pass
    worker.kill()
    worker.join()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, 'Operation not supported')

    monkeypatch.setattr('fcntl.flock', refuse)
    with pytest.warns(UserWarning, match='keeps no locks'), hold_folder(tmp_path, remedy='wait'):
        pass


def test_parent_folders_are_made(tmp_path):
    with write_atomically(tmp_path / 'a' / 'b.txt') as temporary:
        temporary.write_text('x')
    assert (tmp_path / 'a' / 'b.txt').read_text() == 'x'


def test_a_folder_is_refused(tmp_path):
    context = write_atomically(tmp_path)
    with pytest.raises(IsADirectoryError, match='must not be a folder'), context:
        pass


def test_an_input_is_kept_under_all_of_its_names(tmp_path):
    (tmp_path / 'clip.mp4').write_text('precious')
    os.link(tmp_path / 'clip.mp4', tmp_path / 'hard.jsonl')
    (tmp_path / 'soft.jsonl').symlink_to('clip.mp4')
    (tmp_path / 'pictures').mkdir()
    (tmp_path / 'other').symlink_to('pictures')
    with keep_files([tmp_path / 'clip.mp4', tmp_path / 'pictures']):
        for name in ('clip.mp4', 'hard.jsonl', 'soft.jsonl', 'pictures/a.png', 'other/a.png'):
            with pytest.raises(ValueError, match='must not take the place of its input'):
                check_not_kept(tmp_path / name)
        check_not_kept(tmp_path / 'clip.json')


@pytest.mark.parametrize('code', [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_is_tried_before_anything_is_computed_for_it(tmp_path, monkeypatch, code):
    def refuse(dir):
        assert dir == tmp_path
        raise OSError(code, os.strerror(code))

    check_writable(tmp_path / 'new')
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr('tempfile.TemporaryFile', refuse)
    message = f'new must be a folder that can be written to, got "{os.strerror(code)}" in .*; name'
    with pytest.raises(OSError, match=message):
        check_writable(tmp_path / 'new')


def test_an_error_of_the_disk_names_the_file(tmp_path):
    with (
        pytest.raises(OSError, match=r'No space .*result\.json'),
        write_atomically(tmp_path / 'result.json'),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
