"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip('gradio', reason='needs the extra [web]')
pytest.importorskip('playwright', reason='needs playwright, of requirements/clients.txt')

import av
import uvicorn
from playwright.sync_api import Locator, Page, TimeoutError, expect, sync_playwright

from mmotion.serving.page import mount_page
from mmotion.serving.service import create_app
from tests.moving_boxes import write_video
from tests.serving.stored_results import MODELS, StoredEngine

CHROMIUM = shutil.which('chromium')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='needs chromium: apt-get install chromium')
ARGUMENTS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
]
DESKTOP, PHONE = {'width': 1280, 'height': 900}, {'width': 390, 'height': 844}
# for what needs no model, and for an answer of one, on a machine that does other things as well
WAIT_MS, LOAD_MS = 20_000, 120_000
TABS = {'RepNet': '4', 'TimeSformer': 'walk', 'Anomaly': '2', 'BKinD': '3'}


@pytest.fixture(scope='module')
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def serve(tmp_path_factory):
    """Serves pages with stored results, and gives their addresses."""
    servers = []

    def serve_one(tokens=()):
        engine = StoredEngine(tmp_path_factory.mktemp('page'), MODELS)
        app = create_app(engine, tokens=tokens)
        mount_page(app, engine, tokens=tokens)
        listener = socket.create_server(('127.0.0.1', 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level='warning'))
        thread = threading.Thread(target=server.run, kwargs={'sockets': [listener]})
        thread.start()
        servers.append((server, thread))
        return f'http://127.0.0.1:{listener.getsockname()[1]}'

    yield serve_one
    for server, thread in servers:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope='module')
def stored(serve):
    """Address of a page that answers at once."""
    return serve()


@pytest.fixture(scope='module')
def started(tmp_path_factory):
    """Address of `mmotion demo` with the models that ship; it cleans up when it is told to stop."""
    folder = tmp_path_factory.mktemp('demo')
    command = [sys.executable, '-m', 'mmotion.cli', 'demo', '--port', '0', '--no-browser']
    env = {**os.environ, 'TMPDIR': str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as demo:
        line = demo.stdout.readline()
        yield re.fullmatch(r'the page is at: (http://127\.0\.0\.1:\d+)\n', line)[1]
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)
    assert not [*folder.iterdir()]


@pytest.fixture
def open_page(browser):
    """Opens pages in browsers of their own, which must not ask for anything elsewhere."""
    contexts, faults = [], []

    def open_one(address: str, size: dict = DESKTOP) -> Page:
        context = browser.new_context(viewport=size, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        own = (f'{address}/', 'data:', 'blob:')
        page.on('request', lambda r: r.url.startswith(own) or faults.append(f'asked {r.url}'))
        page.on('pageerror', lambda error: faults.append(f'error {error}'))
        page.goto(address)
        return page

    expect.set_options(timeout=WAIT_MS)
    yield open_one
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('sent') / 'box.mp4', 48)


def choose_tab(page: Page, name: str) -> Locator:
    """Open a tab, which on a phone may be in the menu of those that have no room."""
    page.get_by_role('button', name='Analyze').first.wait_for()
    tab = page.get_by_role('tab', name=name)
    if not tab.is_visible():
        page.locator('.overflow-menu > button').click()
        tab = page.locator('.overflow-dropdown').get_by_text(name)
    tab.click()
    return page.get_by_role('tabpanel').filter(visible=True)


def send(panel: Locator, *videos: Path) -> None:
    """Choose videos and have them analyzed."""
    panel.locator('input[type=file]').first.set_input_files([str(path) for path in videos])
    for path in videos:
        # the name is cut in the middle of the component
        expect(panel.locator('.file-preview')).to_contain_text(path.stem)
    panel.get_by_role('button', name='Analyze').click()


def answer_of(panel: Locator) -> Locator:
    return panel.locator('.answer .large strong')


def wait_for_video(page: Page) -> None:
    """Wait until the browser has decoded a frame of what was drawn."""
    page.wait_for_function("document.querySelector('.result video')?.readyState >= 2")


def has_no_sideways_scroll(page: Page) -> bool:
    return page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')


@pytest.mark.parametrize(('tab', 'answer'), TABS.items())
def test_a_tab_answers_on_a_desk_and_on_a_phone(tab, answer, stored, open_page, video):
    page = open_page(stored)
    panel = choose_tab(page, tab)
    send(panel, video)
    expect(answer_of(panel)).to_have_text(answer)
    expect(panel.locator('figure').first).to_be_visible()
    # the browser plays what was drawn
    wait_for_video(page)
    assert panel.locator('.result video').evaluate('v => v.duration') == pytest.approx(5, abs=0.1)
    page.set_viewport_size(PHONE)
    assert has_no_sideways_scroll(page)


def test_a_phone_reaches_every_tab(stored, open_page):
    page = open_page(stored, PHONE)
    for tab in reversed(TABS):
        panel = choose_tab(page, tab)
        expect(panel.get_by_role('button', name='Analyze')).to_be_visible()
        assert has_no_sideways_scroll(page)


def test_downloads_are_whole(stored, open_page, video, tmp_path):
    panel = choose_tab(page := open_page(stored), 'RepNet')
    send(panel, video)
    expect(panel.locator('.downloads a')).to_have_count(4)
    files = {}
    for link in panel.locator('.downloads a').all():
        with page.expect_download() as download:
            link.click()
        files[download.value.suggested_filename] = path = tmp_path / str(len(files))
        download.value.save_as(path)
    with av.open(str(files['box_overlay.mp4'])) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ('h264', 'yuv420p')
    (row,) = csv.DictReader(files['box_summary.csv'].read_text().splitlines())
    assert row['video'] == 'box.mp4' and row['count'] == '4'
    assert len(json.loads(files['box_result.json'].read_text())['count_per_frame']) == 60
    assert files['box_plot.png'].read_bytes().startswith(b'\x89PNG')


def test_the_threshold_changes_the_alarms_by_keyboard(stored, open_page, video):
    panel = choose_tab(open_page(stored), 'Anomaly')
    send(panel, video)
    alarms, slider = panel.locator('.alarms'), panel.get_by_role('slider')
    expect(alarms).to_have_text('2 alarms')
    expect(panel.locator('rect.alarm')).to_have_count(2)
    slider.press('End')
    expect(alarms).to_have_text('No alarm')
    expect(panel.locator('rect.alarm')).to_have_count(0)
    slider.press('Home')
    expect(alarms).to_have_text('1 alarm')


def test_a_plot_leads_to_its_moment_in_the_video(stored, open_page, video):
    panel = choose_tab(page := open_page(stored), 'RepNet')
    send(panel, video)
    wait_for_video(page)
    frame = panel.locator('.frame').first
    width = frame.bounding_box()['width']
    frame.click(position={'x': 0.5 * width, 'y': 20})
    page.wait_for_function(
        "Math.abs(document.querySelector('.result video').currentTime - 2.5) < .1"
    )
    expect(panel.locator('.frame .now').first).to_be_visible()


def test_several_videos_of_which_one_waits_and_one_fails(stored, open_page, video, tmp_path):
    names = ('first', 'second', 'broken', 'waits')
    videos = [Path(shutil.copy(video, tmp_path / f'{name}.mp4')) for name in names]
    panel = choose_tab(page := open_page(stored), 'TimeSformer')
    send(panel, *videos)
    jobs = panel.locator('.jobs')
    expect(jobs).to_contain_text('waiting, next')
    expect(jobs).to_contain_text('got a damaged one')
    expect(panel.get_by_text('All results in one table (2)')).to_be_visible()
    panel.get_by_role('button', name='Cancel').click()
    expect(jobs).to_contain_text('canceled')

    panel.get_by_role('combobox', name='Show the result of').click()
    page.get_by_role('option', name='first.mp4').click()
    expect(panel.locator('.result .quiet')).to_contain_text('first.mp4')
    # a reload shows them again, and nobody else sees them
    page.reload()
    expect(choose_tab(page, 'TimeSformer').locator('.jobs')).to_contain_text('second.mp4')
    other = choose_tab(open_page(stored), 'TimeSformer')
    expect(other.locator('.jobs')).to_contain_text('The answer will be here')

    panel.get_by_role('button', name='Remove all results').click()
    expect(panel.locator('.jobs')).to_contain_text('The answer will be here')
    expect(answer_of(panel)).to_have_count(0)


def test_nothing_chosen_is_told(stored, open_page):
    panel = choose_tab(open_page(stored), 'BKinD')
    panel.get_by_role('button', name='Analyze').click()
    expect(panel.get_by_role('alert')).to_contain_text('Choose a video first')


def test_a_recording_of_the_camera(stored, open_page):
    panel = choose_tab(page := open_page(stored), 'RepNet')
    panel.get_by_text('Record with the camera').click()
    page.context.grant_permissions(['camera', 'microphone'])
    panel.get_by_text('Click to Access Webcam').click()
    # a browser that is busy may have recorded nothing yet when it is stopped
    for seconds in (2, 10):
        panel.locator('.capture-button').click()
        panel.get_by_title('stop recording').wait_for()
        time.sleep(seconds)
        panel.locator('.capture-button').click()
        with contextlib.suppress(TimeoutError):
            panel.locator('video[src*="file="]').wait_for(timeout=10_000)
            break
    panel.get_by_role('button', name='Analyze').click()
    expect(answer_of(panel)).to_have_text('4')


def test_a_token_is_asked_for(serve, open_page):
    page = open_page(serve(tokens=['secret']))
    page.get_by_label('Token').fill('guess')
    page.get_by_role('button', name='Open the page').click()
    expect(page.get_by_role('alert')).to_have_text('This is not the token.')
    page.get_by_label('Token').fill('secret')
    page.keyboard.press('Enter')
    panel = choose_tab(page, 'RepNet')
    panel.get_by_text('No video at hand?').click()
    panel.get_by_role('button', name='Try the example').click()
    expect(answer_of(panel)).to_have_text('4')


def test_an_example_is_counted_by_keyboard_alone(started, open_page):
    page = open_page(started)
    panel = choose_tab(page, 'RepNet')
    page.evaluate('document.activeElement.blur()')
    for name in ('No video at hand?', 'Try the example'):
        press_tab_until(page, name)
        page.keyboard.press('Enter')
    expect(panel.locator('.jobs')).to_contain_text(re.compile('waiting|loading|watching'))
    expect(answer_of(panel)).to_have_text('8', timeout=LOAD_MS)


def press_tab_until(page: Page, name: str) -> None:
    focused = "document.activeElement.closest('button')?.innerText || ''"
    for _ in range(60):
        page.keyboard.press('Tab')
        if name in page.evaluate(focused):
            return
    raise AssertionError(f'{name} is not reached by the keyboard')


@pytest.mark.slow
def test_each_system_that_comes_with_weights_answers(started, open_page):
    page = open_page(started)
    page.get_by_role('button', name='Analyze').first.wait_for()
    tabs = page.get_by_role('tab').all_inner_texts()
    assert 'RepNet' in tabs
    for tab in tabs:
        panel = choose_tab(page, tab)
        panel.get_by_text('No video at hand?').click()
        panel.get_by_role('button', name='Try the example').click()
        expect(answer_of(panel)).to_have_text(re.compile(r'\w'), timeout=LOAD_MS)
        expect(panel.locator('figure').first).to_be_visible()


def test_a_real_clip_is_counted(started, open_page, data_root):
    panel = choose_tab(page := open_page(started, PHONE), 'RepNet')
    send(panel, data_root / 'reps' / 'jumpingjacks_ayeza.mp4')
    expect(answer_of(panel)).to_have_text(re.compile(r'\d+'), timeout=LOAD_MS)
    expect(panel.locator('.jobs')).to_contain_text('count')
    assert has_no_sideways_scroll(page)
