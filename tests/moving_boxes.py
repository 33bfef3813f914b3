"""Make videos in which a bright box moves over a still background, as files and as pictures."""

from pathlib import Path

import cv2
import numpy as np

from tests.video_files import encode

WIDTH, HEIGHT = 96, 64


def draw_frames(num_frames: int, *, moves: bool = True) -> list[np.ndarray]:
    """Draw a white box of 16 pixels that goes 2 pixels to the right a frame, (H, W, 3) each."""
    background = np.random.default_rng(0).integers(40, 90, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    background = cv2.resize(background, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    frames = []
    for number in range(num_frames):
        frame = background.copy()
        left = (2 * number if moves else 20) % (WIDTH - 16)
        frame[24:40, left : left + 16] = 240
        frames.append(frame)
    return frames


def write_video(path: Path, num_frames: int = 24, *, moves: bool = True) -> Path:
    """Write such a video as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode(path, draw_frames(num_frames, moves=moves))


def write_pictures(folder: Path, num_frames: int = 24, *, leave_out: tuple[int, ...] = ()) -> Path:
    """Write such a video as pictures `img_000001.png`, ..., without some of them."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(draw_frames(num_frames), start=1):
        if number not in leave_out:
            cv2.imwrite(str(folder / f'img_{number:06d}.png'), frame[..., ::-1])
    return folder
