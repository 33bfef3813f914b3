"""A process that works on the jobs of a server, one after the other, with its models kept warm.

It reads a JSON object a line from stdin, `{"job": ...}` or `{"cancel": ID}`, and writes one a line
to stdout: `{"stage": "watching", "progress": 0.4}` while it goes on, and at last `{"done": {...}}`,
`{"failed": "why"}` or `{"canceled": true}`. It ends with its stdin, so that none is left behind by
a server that was killed.

Run by `mmotion.serving.engine` as `python -m mmotion.serving.worker`.
"""

import json
import os
import queue
import re
import signal
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from mmotion.serving.limits import Limits, RefusedError, check_header, check_seconds

# lines of a live job, beside the names of `mmotion.serving.engine`
LIVE = 'live.jsonl'
# models that are kept in memory
NUM_WARM = 2
# seconds between two reports of progress
REPORT_S = 0.2
MAX_LETTERS = 300
EXPECTED_ERRORS = (OverflowError, ValueError, TypeError, OSError, LookupError, ImportError)


class CanceledError(Exception):
    """Nobody wants the result any more."""


class Worker:
    """Works on jobs.

    Args:
        answers: Where lines go.

    Attributes:
        canceled: The id of the job that is not wanted any more.
    """

    def __init__(self, answers: TextIO) -> None:
        self.answers = answers
        self._warm: OrderedDict[tuple[str, str | None], Any] = OrderedDict()
        self.canceled = ''

    def work(self, job: dict[str, Any]) -> None:
        """Work on a job, and say what became of it, whatever that is."""
        folder = Path(job['source']).parent
        try:
            self._say(done=self._predict(job))
        except CanceledError:
            self._say(canceled=True)
        except EXPECTED_ERRORS as error:
            self._say(failed=shorten(error, folder))
        except Exception as error:
            traceback.print_exc()
            kind = type(error).__name__
            self._say(failed=f'the server could not work on this file ({kind})')

    def _predict(self, job: dict[str, Any]) -> dict[str, Any]:
        source, out_dir, limits = Path(job['source']), Path(job['out_dir']), Limits(**job['limits'])
        times = {'start_s': job['start_s'], 'end_s': job['end_s']}
        self._say(stage='loading', progress=None)
        predictor = self.load(job['config'], job['checkpoint'])
        # of the kinds of keypoint files, HDF5 may refer to other files, and the rest tell no rate
        reads_json = '.json' in getattr(predictor, 'keypoint_suffixes', ())
        if reads_json and source.suffix.lower() == '.json':
            make_harmless(source, limits)
            whole_s = 0.0
        else:
            whole_s = check_header(source, limits, **times)
        predictor.prepare([source])
        out_dir.mkdir(parents=True, exist_ok=True)
        watch = self._watch(job, whole_s, limits)
        if job['live']:
            return self._stream(predictor.stream(source, **times, on_frame=watch), out_dir)
        return self._write(job, predictor, predictor.predict(source, **times, on_frame=watch))

    def _write(self, job: dict[str, Any], predictor: Any, result: Any) -> dict[str, Any]:
        from mmotion import __version__
        from mmotion.inference.summary import describe_rows, list_columns
        from mmotion.structures.json_file import write_json
        from mmotion.structures.results import list_entries
        from mmotion.tables import as_cell, write_table

        out_dir = Path(job['out_dir'])
        rows = [{'video': job['name'], 'status': 'ok', **row} for row in describe_rows(result)]
        cells = [{name: as_cell(value) for name, value in row.items()} for row in rows]
        more = {'video': job['name'], 'model': job['model'], 'mmotion': __version__}
        write_json(out_dir / 'result.json', list_entries(result) | more)
        write_table(out_dir / 'summary.csv', list_columns(cells), cells)
        if job['draw']:
            self._say(stage='drawing', progress=None)
            for file in predictor.draw(job['source'], result, out_dir / 'drawn'):
                file.replace(out_dir / ('overlay.mp4' if file.suffix == '.mp4' else 'plot.png'))
            (out_dir / 'drawn').rmdir()
        return {'duration_s': rows[0]['video_s']}

    def _stream(self, results: Iterator[Any], out_dir: Path) -> dict[str, Any]:
        from mmotion.structures.json_file import dump_json

        with open(out_dir / LIVE, 'w', encoding='utf-8') as file:
            for result in results:
                file.write(dump_json(result.to_dict()) + '\n')
                file.flush()
        return {}

    def load(self, config: str, checkpoint: str | None) -> Any:
        """The predictor of a model, kept for the next job; the last `NUM_WARM` are."""
        key = config, checkpoint
        if key not in self._warm:
            from mmotion.inference import load_model

            self._warm[key] = load_model(config, checkpoint)
        self._warm.move_to_end(key)
        while len(self._warm) > NUM_WARM:
            self._warm.popitem(last=False)
        return self._warm[key]

    def _watch(self, job: dict[str, Any], whole_s: float, limits: Limits) -> Callable[[Any], None]:
        """What each frame is told to: it reports progress, and ends what is not wanted."""
        start_s, last = job['start_s'], 0.0

        def watch(frame: Any) -> None:
            nonlocal last
            if self.canceled == job['id']:
                raise CanceledError
            seconds = frame.time_s - start_s
            check_seconds(seconds, limits)
            if time.monotonic() - last > REPORT_S and whole_s > 0:
                last = time.monotonic()
                self._say(stage='watching', progress=min(seconds / whole_s, 1.0))

        return watch

    def _say(self, **content: Any) -> None:
        self.answers.write(json.dumps(content) + '\n')
        self.answers.flush()


def make_harmless(path: Path, limits: Limits) -> None:
    """Take out of a keypoint file in JSON the path of its video, which would be opened.

    Raises:
        RefusedError: If it is of more, or of larger, frames than is allowed.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise RefusedError('keypoints must be JSON, got a file that is none') from None
    for part in [content, *content.values()] if isinstance(content, dict) else []:
        if not isinstance(part, dict):
            continue
        if 'source' in part:
            part['source'] = 'keypoints'
        numbers = {k: v for k, v in part.items() if isinstance(v, int | float)}
        if numbers.get('width', 0) * numbers.get('height', 0) > limits.max_pixels:
            raise RefusedError(f'pictures must have at most {limits.max_pixels} pixels, got more')
        if numbers.get('fps', 0) > 0:
            check_seconds(numbers.get('num_frames', 0) / numbers['fps'], limits)
    path.write_text(json.dumps(content), encoding='utf-8')


def shorten(error: Exception, folder: Path) -> str:
    """What an error says, in a line, without the folders of this machine."""
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    line = (str(message).splitlines() or [type(error).__name__])[0]
    line = line.replace(f'{folder}{os.sep}', '')
    return re.sub(r'(?<![\w.])/(?:[\w.@+-]+/)+', '', line)[:MAX_LETTERS]


def main() -> None:
    """Work on what stdin brings until it ends."""
    # what libraries print must not come between the answers
    answers = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    # Ctrl-C is for the server, which ends this process when it has to
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker, jobs = Worker(answers), queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if 'cancel' in message:
                worker.canceled = message['cancel']
            else:
                jobs.put(message['job'])
        # the server is gone, or has no use for this process
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    # which takes seconds, better now than when there is work
    import mmotion.inference  # noqa: F401

    while True:
        worker.work(jobs.get())


if __name__ == '__main__':
    main()
