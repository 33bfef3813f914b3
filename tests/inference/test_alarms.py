import sys
import time

import pytest

from mmotion.inference import alarms
from mmotion.inference.alarms import AlarmCommand, AlarmCounts

WRITE = "import sys; open(sys.argv[1], 'a').write(repr(sys.argv[2:]) + '\\n')"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Notes its arguments in a file beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'note it.py').write_text(WRITE)
    return f'{sys.executable} "note it.py" calls'


def call(command, source='rtsp://cam/door', answers=((True, 1.5, 0.99), (False, 4.0, 0.5))):
    with AlarmCommand(command, source=source) as alarm:
        for is_alarm, time_s, score in answers:
            alarm.note(is_alarm=is_alarm, time_s=time_s, score=score)
    return alarm.counts


def test_arguments_are_added(script, tmp_path):
    answers = [(False, 0, 0), (True, 1.5, 0.99), (True, 2, 1.0), (False, 4, 0.5), (False, 5, 0)]
    assert call(script, answers=answers) == AlarmCounts(called=2)
    assert (tmp_path / 'calls').read_text().splitlines() == [
        "['begin', '1.500', '0.99', 'rtsp://cam/door']",
        "['end', '4.000', '0.5', 'rtsp://cam/door']",
    ]


def test_placeholders_are_filled_in(script, tmp_path):
    call(f'{script} --at={{time_s}} "{{event}} of {{source}}" {{}} {{event')
    first = (tmp_path / 'calls').read_text().splitlines()[0]
    assert first == "['--at=1.500', 'begin of rtsp://cam/door', '{}', '{event']"


def test_nothing_goes_through_a_shell(script, tmp_path):
    source = '$(touch bad); `touch bad` | touch bad'
    call(f'{script} "{{source}}" ; touch bad', source=source)
    assert not (tmp_path / 'bad').exists()
    first = (tmp_path / 'calls').read_text().splitlines()[0]
    assert first == repr([source, ';', 'touch', 'bad'])


def test_a_command_that_fails_is_counted(capfd):
    assert call('false') == AlarmCounts(called=2, failed=2)
    assert 'mmotion: the alarm command failed (1)' in capfd.readouterr().err


def test_a_command_that_is_gone_is_counted(tmp_path, monkeypatch):
    program = tmp_path / 'siren'
    program.write_text('#!/no/such/program\n')
    program.chmod(0o755)
    assert call(str(program)) == AlarmCounts(called=2, failed=2)


def test_a_command_that_hangs_is_killed_with_what_it_has_started(monkeypatch, capfd):
    monkeypatch.setattr(alarms, 'TIMEOUT_S', 1.0)
    begin_s = time.monotonic()
    with AlarmCommand("sh -c 'sleep 30 & sleep 30'", source='0') as alarm:
        for number in range(40):
            alarm.note(is_alarm=number % 2 == 0, time_s=number)
        # the watch goes on
        assert not alarm.counts.hung
    counts = alarm.counts
    assert time.monotonic() - begin_s < 20
    assert counts.hung == counts.called >= 1 and counts.called + counts.left_out == 40
    assert 'the alarm command was killed after 1 s' in capfd.readouterr().err


def test_what_it_prints_is_no_answer(capfd):
    call('echo hello')
    captured = capfd.readouterr()
    assert captured.out == '' and 'hello begin 1.500' in captured.err


@pytest.mark.parametrize(
    ('command', 'kind', 'message'),
    [
        ('', ValueError, "must name a program, got ''"),
        ('say "hello', ValueError, 'must be words, got .*No closing quotation'),
        ('no-such-program --on', FileNotFoundError, "must be there, got 'no-such-program'"),
    ],
)
def test_wrong_commands(command, kind, message):
    with pytest.raises(kind, match=message):
        AlarmCommand(command, source='0')
