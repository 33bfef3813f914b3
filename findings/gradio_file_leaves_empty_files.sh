#!/usr/bin/env bash
# Each event with a gr.File input leaves an empty file in Gradio's cache, which delete_cache never removes.
#
# Expected: `gr.Blocks(delete_cache=(frequency, age))` removes all that the app has put into its cache.
# Seen: gradio 6.31.0 (Python 3.11), one upload and three events with it. Guessed before: one an event; right.
#     after three events: 3 empty files beside the upload
#     after Gradio has removed all files: 3 empty files
# Here: the page takes the paths of uploads past `gr.File.preprocess`, which makes a named temporary file for
#   each only to give its name away.
set -euo pipefail
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet gradio==6.31.0
cd "$work"
GRADIO_ANALYTICS_ENABLED=False GRADIO_TEMP_DIR="$work/cache" venv/bin/python - <<'PY'
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from fastapi.testclient import TestClient
from gradio.route_utils import delete_files_created_by_app

cache = Path('cache')
with gr.Blocks(delete_cache=(3600, 3600)) as page:
    file, answer = gr.File(), gr.Textbox()
    gr.Button().click(lambda path: Path(path).name, file, answer, api_name='name', queue=False)
client = TestClient(gr.mount_gradio_app(FastAPI(), page, path='/ui'))
sent = client.post('/ui/gradio_api/upload', files={'files': ('clip.mp4', b'video')}).json()[0]
data = {'path': sent, 'meta': {'_type': 'gradio.FileData'}}
for _ in range(3):
    answer = client.post('/ui/gradio_api/run/name', json={'data': [data]})
    assert answer.json()['data'] == ['clip.mp4'], answer.text


def count_empty():
    return len([path for path in cache.rglob('*') if path.is_file() and not path.stat().st_size])


print(f'after three events: {count_empty()} empty files beside the upload')
assert count_empty() == 3 and Path(sent).is_file()
delete_files_created_by_app(page, None)
print(f'after Gradio has removed all files: {count_empty()} empty files')
assert count_empty() == 3 and not Path(sent).exists()
PY
