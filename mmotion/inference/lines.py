"""Results as lines of JSON while their video goes on."""

from pathlib import Path
from typing import TextIO

from mmotion.atomic import lock_file


class LineFile:
    """A text file that takes the place of an older one with its first line, not before.

    Args:
        path: The file; missing parent folders are made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> 'LineFile':
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, text: str) -> None:
        """Write, and let others see it.

        Raises:
            ValueError: If another process is writing the file.
        """
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open('a', encoding='utf-8')
            try:
                lock_file(file.fileno())
            except BlockingIOError as error:
                file.close()
                raise ValueError(
                    f'{self.path} must not be in use by another process, got one that writes to '
                    'it; name another file'
                ) from error
            if self.path.is_file():
                file.truncate(0)
            self._file = file
        self._file.write(text)
        self._file.flush()

    def flush(self) -> None:
        """Nothing is left to do."""
