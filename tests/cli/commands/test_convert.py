import pytest
import torch

from mmotion.cli.commands.convert import import_converter
from tests.command_lines import check_wrong_use, run

WRONG_USE = {
    'unknown system': (['convert', 'nosuch', 'other.pth', 'b.pth'], "got 'nosuch'"),
}


@pytest.mark.parametrize(('arguments', 'message'), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_use_is_answered_in_one_line(folder, capsys, arguments, message):
    check_wrong_use(capsys, arguments, message)


def test_convert(folder, capsys, monkeypatch):
    def convert(state_dict):
        return {f'new.{name}': value for name, value in state_dict.items()}

    monkeypatch.setattr('mmotion.cli.commands.convert.import_converter', lambda system: convert)
    code, out, _ = run(capsys, 'convert', 'any', 'other.pth', 'made/ours.pth')
    assert code == 0
    assert '1 tensors written to made/ours.pth' in out
    made = torch.load(folder / 'made' / 'ours.pth', weights_only=True)
    assert list(made['state_dict']) == ['new.other']
    assert made['meta'] == {'system': 'any', 'converted_from': 'other.pth'}


def test_an_unknown_converter():
    with pytest.raises(ValueError, match=r"can convert weights \(.*\), got 'example_project'"):
        import_converter('example_project')
