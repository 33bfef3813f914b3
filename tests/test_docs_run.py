"""What README, docs/ and the pages of the systems tell to type is run, or says why not."""

from pathlib import Path

import pytest

from tests.docs_pages import MARKS, PYTHON, ROOT, SHOWN, Block, list_pages, read_blocks, run_blocks

PAGES = {page.relative_to(ROOT).as_posix(): read_blocks(page) for page in list_pages()}
COMMANDS = [block for blocks in PAGES.values() for block in blocks if block.is_command]
# a tutorial takes minutes as a whole
QUICK = {
    name: [block for block in blocks if 'slow' not in block.marks]
    for name, blocks in PAGES.items()
    if not name.startswith('docs/tutorials/')
}
SLOW = {name: blocks for name, blocks in PAGES.items() if QUICK.get(name) != blocks}


def param_pages(pages: dict[str, list[Block]]) -> pytest.MarkDecorator:
    runnable = {name: found for name, found in pages.items() if any(b.is_run for b in found)}
    return pytest.mark.parametrize('blocks', runnable.values(), ids=runnable)


def test_each_fence_says_what_is_in_it():
    languages = {b.language for blocks in PAGES.values() for b in blocks if not b.is_command}
    assert languages <= SHOWN
    assert len(COMMANDS) > 60


@pytest.mark.parametrize('block', COMMANDS, ids=str)
def test_what_is_not_run_has_a_reason(block: Block):
    assert set(block.marks) <= MARKS
    assert block.is_run or block.quotes or len(set(block.marks) & {'not run', 'run by'}) == 1
    assert len(block.marks.get('not run', 'long enough')) > 8
    if 'run by' in block.marks:
        test = ROOT / block.marks['run by']
        assert block.page.name in test.read_text()


@pytest.mark.parametrize('block', [b for b in COMMANDS if b.quotes], ids=str)
def test_what_is_quoted_is_there(block: Block):
    text = (ROOT / block.names).read_text()
    for passage in block.code.partition('\n')[2].split('...\n'):
        assert passage in text
        text = text.partition(passage)[2]


@param_pages(QUICK)
def test_a_page_runs(blocks: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / 'page'
    folder.mkdir()
    monkeypatch.chdir(folder)
    run_blocks(blocks, folder)


@pytest.mark.slow
@param_pages(SLOW)
def test_all_of_a_page_runs(blocks: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    test_a_page_runs(blocks, tmp_path, monkeypatch)


def test_python_is_a_command():
    assert any(block.language == PYTHON and block.is_run for block in COMMANDS)
