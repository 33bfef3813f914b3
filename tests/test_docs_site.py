"""The site of docs/ is built without a warning, and no link of it leads nowhere."""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

pytest.importorskip('sphinx', reason='builds the site; pip install -r requirements/docs.txt')

ROOT = Path(__file__).resolve().parents[1]


class Page(HTMLParser):
    """The links and anchors of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {''}
        self.feed(file.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {given.get('id') or ''}
        link = given.get('href') or given.get('src')
        if link and not urlsplit(link).scheme and not urlsplit(link).netloc:
            self.links.append(link)


# it takes a minute to build the site
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as `make docs` does."""
    out_dir = tmp_path_factory.mktemp('site')
    options = ('-n', '-q', '-W', '--keep-going', '-d', str(out_dir / 'doctrees'))
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', *options, str(ROOT / 'docs'), str(out_dir / 'html')],
        capture_output=True,
        text=True,
        # colours are no part of a message
        env=os.environ | {'NO_COLOR': '1'},
    )
    assert done.returncode == 0, done.stderr[-8000:]
    return out_dir / 'html'


def test_no_link_is_broken(site: Path):
    pages = {file: Page(file) for file in site.rglob('*.html')}
    broken = []
    for file, page in pages.items():
        for link in page.links:
            path, anchor = unquote(urlsplit(link).path), unquote(urlsplit(link).fragment)
            target = (file.parent / path).resolve() if path else file
            if not target.exists() or (target in pages and anchor not in pages[target].anchors):
                broken.append(f'{file.relative_to(site)}: {link}')
    assert len(pages) > 20
    assert not broken


def test_a_page_that_is_a_link_is_the_file(site: Path):
    page = (site / 'systems' / 'repnet.html').read_text(encoding='utf-8')
    assert 'how many times' in page
    # the README links to its weights' card, the site to the card's page
    assert '../generated/weights/repnet_small.html' in page


def test_the_plan_of_the_rooms_is_a_picture(site: Path):
    page = (site / 'architecture.html').read_text(encoding='utf-8')
    assert 'inference imports config' in page
    assert page.count('<g id="at-') > 15


@pytest.mark.parametrize(
    ('said', 'found'),
    [
        pytest.param(
            'mmotion: error: a video must be a file that FFmpeg can read, got path=/home/me/a.mp4 '
            '(Invalid data found when processing input); it is of another kind or cut off: copy',
            'a video must be a file that FFmpeg can read',
            id='whole',
        ),
        pytest.param('no weights ship with', 'checkpoint must be given, as no weights', id='words'),
        pytest.param('top-level keys of a config must be known, got \'modle\' (did you mean '
                     '\'model\'?) in /tmp/a.py', 'top-level keys of a config', id='config'),
    ],
)  # fmt: skip
def test_the_search_box_finds_an_error_by_its_words(site: Path, said: str, found: str):
    browser = shutil.which('chromium')
    driver = pytest.importorskip('playwright.sync_api', reason='drives a browser')
    if browser is None:
        pytest.skip('needs chromium')
    with driver.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=['--no-sandbox'])
        page = chromium.new_page()
        page.goto(f'{(site / "search.html").as_uri()}?q={quote(said)}')
        first = page.locator('#error-results a').first
        assert found in first.inner_text()
        first.click()
        anchor = urlsplit(page.url).fragment
        assert found in page.locator(f'#{anchor}').inner_text()
        chromium.close()
