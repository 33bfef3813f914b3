"""What is written of each video that was predicted, and whether it is there already."""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmotion.atomic import check_not_kept, check_writable, write_atomically
from mmotion.inference.abilities import DrawsAttention, Exports
from mmotion.inference.predictor import Predictor
from mmotion.inference.records import KEY, Record, describe_source, read_record
from mmotion.regions import RegionResults
from mmotion.structures.json_file import write_json
from mmotion.structures.results import Result, list_entries
from mmotion.video.files import check_origin, name_video

# what drawing imports, and what pip calls it; a machine for exported models may have none of it
DRAWING = {
    'PIL': 'pillow',
    'cv2': 'opencv-python-headless',
    'matplotlib': 'matplotlib',
    'rich': 'rich',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """What to write of each video, besides `<out_dir>/<stem>.json`.

    Args:
        out_dir: Folder of the outputs.
        draw: Whether to draw the result.
        stills: Pictures of what is drawn, 'gif' and 'sheet', see `mmotion.visualization.stills`.
        attention: Whether to draw where the model looks, not with regions.
        export: Formats of files for other programs, see `Exports`; those of a region lie in a
            folder of its own, such as `<stem>_regions/1_left`.
        provenance: Entries to add to each JSON file: config and checkpoint.
        settings: What the results depend on besides their videos, see `describe_settings`; None
            keeps no record of it in the JSON files, so that all is always to do.
    """

    out_dir: Path
    draw: bool = False
    stills: Sequence[str] = ()
    attention: bool = False
    export: Sequence[str] = ()
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] | None = None

    def check(self, predictor: Predictor | type[Predictor]) -> None:
        """Refuse what cannot be written: by a predictor or any of a class, and to the folder.

        Raises:
            ValueError: If it does not draw attention, or does not export in these formats.
            ImportError: If a package for one of them, or for drawing, is not installed.
            OSError: If the folder cannot be written to.
        """
        check_writable(self.out_dir)
        missing = [name for name in DRAWING if self.draw and not find_spec(name)]
        if missing:
            raise ImportError(
                f'packages for drawing must be installed, got no {" and no ".join(missing)}; '
                f'pip install {" ".join(DRAWING[name] for name in missing)}, or leave draw out'
            )
        kind = predictor if isinstance(predictor, type) else type(predictor)
        if self.attention and not issubclass(kind, DrawsAttention):
            raise ValueError(
                'attention must be drawn by a predictor of a model that has it, got '
                f'{kind.__name__}; leave attention out'
            )
        if not self.export:
            return
        if not issubclass(kind, Exports):
            raise ValueError(
                f'predictor must export {list(self.export)}, got {kind.__name__}; leave export out'
            )
        kind.check_export(self.export)

    def check_places(self, video: Path, name: str) -> None:
        """Refuse to write over what is being read, and over what is about another video.

        Args:
            video: File or folder of pictures.
            name: What the output is called.

        Raises:
            ValueError: If a file is in the way.
            OSError: If the folder cannot be written to any more.
        """
        check_writable(self.out_dir)
        target, folder = self._place(video, name)
        drawn = {'overlay': self.draw, 'attention': self.attention}
        stem = name_video(video)
        videos = [folder / f'{stem}_{kind}.mp4' for kind in drawn if drawn[kind]]
        gifs = [folder / f'{stem}_overlay.gif'] if 'gif' in self.stills else []
        for path in (target, *videos, *gifs):
            check_not_kept(path)
        done = read_record(target)
        # which spares reading all of a result that may be large
        if done is None or done.source.get('path') != str(video.resolve()):
            check_origin(target, video, 'video')

    def make_record(self, video: Path) -> Record | None:
        """Describe a video as it is now, and how it is predicted; None without `settings`.

        Raises:
            OSError: If it is not there.
        """
        if self.settings is None:
            return None
        wanted = {'draw': self.draw, 'attention': self.attention, 'export': list(self.export)}
        if self.stills:
            wanted['stills'] = list(self.stills)
        return Record(source=describe_source(video), settings={**self.settings, **wanted})

    def read_rows(self, video: Path, name: str) -> Sequence[Mapping[str, Any]]:
        """What a table says of a video that is done."""
        done = read_record(self._place(video, name)[0])
        return done.rows if done else ()

    def explain(self, video: Path, name: str) -> str | None:
        """Say why a video is to be predicted: '' if it never was; None if it is done.

        Args:
            video: File or folder of pictures.
            name: What the output is called.
        """
        target, _ = self._place(video, name)
        if not target.is_file():
            return ''
        done, wanted = read_record(target), self.make_record(video)
        if done is None or wanted is None:
            return 'its result does not say that it is complete'
        changes = done.list_changes(wanted, self.out_dir)
        return f'not as before: {", ".join(changes)}' if changes else None

    def _place(self, video: Path, name: str) -> tuple[Path, Path]:
        """The JSON file, and the folder of the rest."""
        is_own = name == name_video(video)
        return self.out_dir / f'{name}.json', self.out_dir if is_own else self.out_dir / name

    @staticmethod
    def _list_parts(result: Result, folder: Path) -> list[tuple[Path | None, Result]]:
        """The results of regions, each with a folder of its own; or that of the whole picture."""
        if not isinstance(result, RegionResults):
            return [(None, result)]
        names = [re.sub(r'\W+', '_', region.name) for region in result.regions]
        places = [folder / f'{number}_{name}' for number, name in enumerate(names, 1)]
        return list(zip(places, result.results, strict=True))

    def write(
        self,
        predictor: Predictor,
        video: Path,
        result: Result,
        name: str,
        record: Record | None = None,
    ) -> list[Path]:
        """Write everything of one video.

        Args:
            predictor: What predicted it.
            video: File or folder of pictures.
            result: What it said, of the whole picture or of regions.
            name: What the output is called; all but the JSON file has a folder of this name if it
                is not the video's own.
            record: From `make_record`, before it was predicted.

        Returns:
            The files.

        Raises:
            ValueError: If a file would take the place of one that is read, or of another video's.
        """
        target, folder = self._place(video, name)
        others = self.draw or self.attention or self.export
        # what took long is kept, whatever becomes of the rest
        if others or not record:
            self._write_result(target, video, result)
        files = self._write_others(predictor, video, result, folder) if others else []
        if record:
            names = [os.path.relpath(file, self.out_dir) for file in files]
            content = dataclasses.asdict(dataclasses.replace(record, files=tuple(names)))
            self._write_result(target, video, result, **{KEY: content})
        return [target, *files]

    def _write_result(self, target: Path, video: Path, result: Result, **more: Any) -> None:
        content = list_entries(result) | {'video': str(video)} | {**self.provenance, **more}
        with write_atomically(target) as temporary:
            write_json(temporary, content)

    def _write_others(
        self, predictor: Predictor, video: Path, result: Result, folder: Path
    ) -> list[Path]:
        written = []
        if self.draw and isinstance(result, RegionResults):
            written += predictor.draw_regions(video, result, folder)
        elif self.draw:
            written += predictor.draw(video, result, folder)
        if self.stills:
            from mmotion.visualization.stills import make_still

            overlay = folder / f'{name_video(video)}_overlay.mp4'
            written += [make_still(overlay, kind, start_s=result.start_s) for kind in self.stills]
        if self.export and isinstance(predictor, Exports):
            for place, part in self._list_parts(result, folder / f'{name_video(video)}_regions'):
                written += predictor.export(video, part, place or folder, self.export)
        if self.attention and isinstance(predictor, DrawsAttention):
            written += predictor.draw_attention(video, result, folder)
        return written
