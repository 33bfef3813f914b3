"""Extract the keypoints of the people in many videos: a JSON file for each.

Below the output folder, `clip.json` is what was found in `clip.mp4`, see
`mmotion.keypoints.files`, and `extraction.csv` tells what became of each video, see
`mmotion.keypoints.extraction_table`.

A job that is started again goes on where it stopped: what is done with the same settings is
skipped, what failed is tried again. A video with nobody in it is done, and named at the end.
"""

import logging
import os
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import Progress

from mmotion.atomic import check_writable, hold_folder
from mmotion.checks import check_at_least, check_fps
from mmotion.keypoints.detectors import PoseDetector
from mmotion.keypoints.extraction_table import ExtractionTable, Job, Outcome, plan_jobs
from mmotion.keypoints.files import write_poses
from mmotion.keypoints.poses import Person, PoseVideo
from mmotion.keypoints.tracking import PoseTracker, choose_people
from mmotion.structures.times import list_irregular
from mmotion.video import inspect_video, iterate_frames
from mmotion.video.files import check_origin
from mmotion.video.frames import read_ahead, take_chunks
from mmotion.worker_process import WorkerProcess

EVERY = 5
BATCH_SIZE = 4
TABLE = 'extraction.csv'


class StoppedError(Exception):
    """The extraction of a video was ended by `stop`."""


def extract_poses(
    video: str | Path,
    detector: PoseDetector,
    *,
    every: int = EVERY,
    keep: str = 'all',
    start_s: float = 0.0,
    end_s: float | None = None,
    fps: float | None = None,
    batch_size: int = BATCH_SIZE,
    stop: threading.Event | None = None,
) -> PoseVideo:
    """Find the people in every n-th frame of a video.

    Args:
        video: The file.
        detector: Finds the people in a frame.
        every: Look at every n-th frame, n >= 1.
        keep: 'all' keeps everybody, tracked; 'best' or 'largest' one person of each frame.
        start_s: Leave out what comes before.
        end_s: Leave out what comes from here on; None keeps all.
        fps: Frames per second where those of the file are wrong, see `scan_video`.
        batch_size: Frames that the detector gets at a time.
        stop: Once it is set, the extraction ends with an error.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be read, or has no frame in that range.
        StoppedError: If `stop` was set.
    """
    info = inspect_video(video, fps)
    tracker = PoseTracker()
    indices: list[int] = []
    times_s: list[float] = []
    people: list[tuple[Person, ...]] = []
    frames = iterate_frames(video, start_s=start_s, end_s=end_s, stride=every, fps=fps)
    with closing(read_ahead(take_chunks(frames, batch_size))) as chunks:
        for chunk in chunks:
            if stop is not None and stop.is_set():
                raise StoppedError
            found = detector.detect([frame.image for frame in chunk])
            for frame, everybody in zip(chunk, found, strict=True):
                chosen = choose_people(everybody, keep)
                indices.append(frame.index)
                times_s.append(frame.time_s)
                people.append(tuple(tracker.update(chosen) if keep == 'all' else chosen))
    if not indices:
        raise ValueError(f'video must have a frame that can be decoded, got none of {video}')
    return PoseVideo(
        source=str(video),
        fps=info.fps,
        width=info.width,
        height=info.height,
        num_frames=info.num_frames,
        detector=detector.name,
        skeleton=detector.skeleton,
        frame_indices=indices,  # pyright: ignore[reportArgumentType]
        frames=tuple(people),
        frame_times_s=list_irregular(times_s, info.fps, regular_s=np.array(indices) / info.fps),
    )


def extract_keypoints(
    names: Sequence[str],
    out_dir: str | Path,
    build: Callable[[], PoseDetector],
    *,
    every: int = EVERY,
    keep: str = 'all',
    fps: float | None = None,
    batch_size: int = BATCH_SIZE,
    workers: int = 1,
) -> list[Path]:
    """Extract the keypoints of many videos, going on where an earlier start stopped.

    Args:
        names: Files, folders or patterns, see `find_videos`.
        out_dir: Folder of the outputs, see the top of this file.
        build: Makes a detector; called once for each worker, before any work starts. If it can be
            pickled, each worker is a process, and a crash in one fails that video alone, after a
            second try; a script needs `if __name__ == '__main__':` then. Anything else, such as
            a lambda, is called here, for threads: a crash ends this process, and when the
            extraction is stopped, each detector first finishes the frames that it has.
        every: See `extract_poses`, like the next two.
        keep: See `extract_poses`.
        fps: See `extract_poses`.
        batch_size: See `extract_poses`.
        workers: Videos at a time, each by a worker with a detector of its own.

    Returns:
        The videos that failed; the reasons are on stderr and in the table.

    Raises:
        FileNotFoundError: If a name stands for no video.
        OSError: If the folder cannot be written to.
        ValueError: If a number is below 1, or the folder holds something else, or another process
            extracts into it.
    """
    for name, number in (('every', every), ('batch_size', batch_size), ('workers', workers)):
        check_at_least(name, number, 1)
    if fps is not None:
        check_fps(fps)
    choose_people([], keep)
    out_dir = Path(out_dir)
    check_writable(out_dir)
    jobs = plan_jobs(names)
    ExtractionTable(out_dir / TABLE).check_owners(jobs)
    with ExitStack() as ends:
        start = _plan_worker(build, workers, ends)
        detectors = [start()]
        settings = f'{detectors[0].name}, every {every}, keep {keep}'
        if fps is not None:
            settings += f', {fps:g} fps'
        remedy = 'wait for that extraction, or choose another folder'
        ends.enter_context(hold_folder(out_dir, remedy=remedy))
        # as another process may have left it meanwhile
        table = ExtractionTable(out_dir / TABLE)
        table.check_owners(jobs)
        todo = [job for job in jobs if not table.is_done(job, settings)]
        print(f'{len(jobs):,} videos, {len(jobs) - len(todo):,} of them done already', flush=True)
        detectors += [start() for _ in range(1, min(workers, len(todo)))]

        stop = threading.Event()
        options = {'every': every, 'keep': keep, 'fps': fps, 'batch_size': batch_size}
        free: SimpleQueue[PoseDetector | WorkerProcess] = SimpleQueue()
        for detector in detectors:
            free.put(detector)

        def work(job: Job) -> Outcome:
            detector = free.get()
            try:
                check_origin(out_dir / job.file, job.video, 'source')
                if isinstance(detector, WorkerProcess):
                    poses = detector(job.video, **options)
                else:
                    poses = extract_poses(job.video, detector, **options, stop=stop)
                write_poses(poses, out_dir / job.file)
            except StoppedError:
                raise
            except Exception as error:
                if stop.is_set():
                    raise StoppedError from error
                # whatever it is, the other videos may still be fine
                return _describe_failure(job, error, settings)
            finally:
                free.put(detector)
            return _describe_success(job, poses, every, settings)

        def end() -> None:
            stop.set()
            for detector in detectors:
                if isinstance(detector, WorkerProcess):
                    detector.kill()

        _run(work, todo, table, num_threads=len(detectors), end=end)
        return _report(jobs, table, out_dir)


def _plan_worker(
    build: Callable[[], PoseDetector], workers: int, ends: ExitStack
) -> Callable[[], PoseDetector | WorkerProcess]:
    """Choose processes, which `ends` kills, or threads if the builder cannot go to a process."""
    try:
        pickle.dumps(build)
    except (pickle.PicklingError, AttributeError, TypeError):
        return build
    # several must not take all cores each
    threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None

    def start() -> WorkerProcess:
        worker = WorkerProcess(build=build, work=extract_poses, num_threads=threads)
        ends.callback(worker.kill)
        return worker

    return start


def _describe_success(job: Job, poses: PoseVideo, every: int, settings: str) -> Outcome:
    wanted = -(-poses.num_frames // every)
    missing = wanted - len(poses.frames)
    return Outcome(
        video=str(job.video.resolve()),
        status='done',
        reason=f'{missing} of {wanted} frames cannot be decoded' if missing else '',
        file=job.file.as_posix(),
        frames=str(len(poses.frames)),
        with_people=str(poses.num_detections),
        settings=settings,
    )


def _describe_failure(job: Job, error: Exception, settings: str) -> Outcome:
    return Outcome(
        video=str(job.video.resolve()),
        status='failed',
        # a row is a line
        reason=' '.join(str(error).split()) or type(error).__name__,
        file=job.file.as_posix(),
        frames='',
        with_people='',
        settings=settings,
    )


def _run(
    work: Callable[[Job], Outcome],
    jobs: Sequence[Job],
    table: ExtractionTable,
    *,
    num_threads: int,
    end: Callable[[], None],
) -> None:
    """Do the jobs and record each; after an error, Ctrl-C included, end what is under way."""
    progress = Progress(console=Console(stderr=True), disable=not jobs)
    with ThreadPoolExecutor(num_threads) as pool, progress:
        task = progress.add_task('extract', total=len(jobs))
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                table.record(outcome)
                progress.advance(task)
                if outcome.status == 'failed':
                    text = f'{outcome.video}: {outcome.reason}'
                    # an ERROR of mmengine carries the place of print_log
                    print_log(text, logger='current', level=logging.WARNING)
        finally:
            end()
            pool.shutdown(cancel_futures=True)
            table.compact()


def _report(jobs: Sequence[Job], table: ExtractionTable, out_dir: Path) -> list[Path]:
    """Say what is there, and give the videos that failed."""
    outcomes = {job.video: table.outcomes[job.file.as_posix()] for job in jobs}
    failed = [video for video, outcome in outcomes.items() if outcome.status == 'failed']
    empty = [video for video, outcome in outcomes.items() if outcome.with_people == '0']
    damaged = [v for v, outcome in outcomes.items() if v not in failed and outcome.reason]
    print(
        f'keypoints of {len(jobs) - len(failed):,} videos are in {out_dir}, listed in {table.path}'
    )
    for videos, what in ((empty, 'show nobody'), (damaged, 'are damaged')):
        if videos:
            print(f'{len(videos):,} of them {what}: {", ".join(map(str, videos))}')
    if failed:
        names = ', '.join(map(str, failed))
        print(f'mmotion: {len(failed)} of {len(jobs)} videos failed: {names}', file=sys.stderr)
    return failed
