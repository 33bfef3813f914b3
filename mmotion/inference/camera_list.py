"""A list of cameras: what several live sources are called, where they are, how they are watched.

It is a YAML file, or JSON, with a list of

    - name: door
      url: rtsp://camera.local/door
      queue: 16

or with names and addresses, `door: rtsp://camera.local/door`, of which an address may have options
as well, `door: {url: rtsp://camera.local/door, queue: 16}`. They are those of `Camera`.
"""

import dataclasses
import difflib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmotion.video.addresses import PIPE
from mmotion.video.live import LiveVideo


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One live source of several.

    Args:
        name: What lines call it.
        url: See `mmotion.video.addresses.find_address`; with `realtime` a video file.
        fps: See `mmotion.video.live.LiveVideo`, like the next four.
        stall_s: In seconds.
        retries: Also for the first time that it is connected to.
        queue: In frames.
        realtime: Whether it is a file.
        on_alarm: See `mmotion.inference.alarms.AlarmCommand`.

    Raises:
        FileNotFoundError: If the camera or the file is not there.
        TypeError: If a text or a truth value is none.
        ValueError: If a number is out of its range, or the source is none.
    """

    name: str
    url: str
    fps: float | None = None
    stall_s: float = 10.0
    retries: int = 10
    queue: int = 64
    realtime: bool = False
    on_alarm: str | None = None

    def __post_init__(self) -> None:
        for key, kind in (('name', str), ('url', str), ('realtime', bool), ('on_alarm', str)):
            value = getattr(self, key)
            if not isinstance(value, kind) and not (key == 'on_alarm' and value is None):
                known = 'true or false' if kind is bool else 'text, in quotes if need be'
                raise TypeError(f'camera {self.name!r}: {key} must be {known}, got {key}={value!r}')
        self.open()

    def open(self) -> LiveVideo:
        """The source, not yet connected to."""
        try:
            return LiveVideo(
                self.url,
                fps=self.fps,
                stall_s=self.stall_s,
                retries=self.retries,
                queue=self.queue,
                realtime=self.realtime,
                name=self.name,
            )
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f'camera {self.name!r}: {error}') from None


def read_cameras(path: str | Path, **defaults: Any) -> list[Camera]:
    """Read a list of cameras.

    Args:
        path: The file. Files that it names are looked for from its folder on.
        defaults: Options of cameras that have no others.

    Raises:
        FileNotFoundError: If it is not there.
        TypeError: If an option has a wrong type.
        ValueError: If it cannot be read, or names a camera twice, no address, or an option that
            there is not.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'a list of cameras must be a file that is there, got {path}; check its spelling'
        )
    try:
        content = yaml.load(path.read_text(encoding='utf-8'), _Loader)
    except yaml.MarkedYAMLError as error:
        # the whole message would show the line, which may have a password
        line = error.problem_mark.line + 1 if error.problem_mark else '?'
        raise ValueError(
            f'a list of cameras must be YAML or JSON, got {path}, line {line}: {error.problem}'
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'a list of cameras must be YAML or JSON, got {path}: {error}') from None
    if isinstance(content, Mapping):
        content = [_name(name, entry) for name, entry in content.items()]
    if not isinstance(content, list) or not content:
        raise ValueError(
            f'a list of cameras must have a name and a url for each, got {path} with '
            f'{type(content).__name__ if content else "nothing"}; "door: rtsp://camera.local/door"'
        )
    cameras = [
        _read_camera(entry, number, defaults, path.parent)
        for number, entry in enumerate(content, start=1)
    ]
    names = [camera.name for camera in cameras]
    double = [name for name in names if names.count(name) > 1]
    if double:
        raise ValueError(f'cameras must have different names, got {double[0]!r} twice in {path}')
    piped = [camera.name for camera in cameras if camera.url == PIPE]
    if len(piped) > 1:
        raise ValueError(f'one camera alone can be piped in, got {", ".join(piped)} in {path}')
    return cameras


class _Loader(yaml.SafeLoader):
    """Reads plain values, and refuses a key that stands twice in one place."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        # what `<<` brings may stand there again
        nodes = [key for key, _ in node.value if key.tag != 'tag:yaml.org,2002:merge']
        keys = [self.construct_object(key) for key in nodes]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f'{key!r} stands there twice', nodes[place].start_mark
                )
        return super().construct_mapping(node, deep)


def _name(name: Any, entry: Any) -> dict[str, Any]:
    """An entry of a list, from the name and what stands behind it."""
    if not isinstance(entry, Mapping):
        return {'name': name, 'url': entry}
    if 'name' in entry:
        raise ValueError(f'camera {name!r}: name must stand in front alone, got another one')
    return {'name': name, **entry}


def _read_camera(entry: Any, number: int, defaults: Mapping[str, Any], folder: Path) -> Camera:
    if not isinstance(entry, Mapping):
        raise ValueError(f'camera {number} must have a name and a url, got {entry!r}')
    name = entry.get('name', f'number {number}')
    _check_keys(name, [*entry])
    # the number of a camera, and a name may be one too
    texts = {key: str(entry[key]) for key in ('name', 'url') if type(entry.get(key)) is int}
    options = {**defaults, **entry, **texts}
    if options.get('realtime') is True and isinstance(options['url'], str):
        options['url'] = str(folder / options['url'])
    return Camera(**options)


def _check_keys(name: Any, keys: Sequence[Any]) -> None:
    known = [field.name for field in dataclasses.fields(Camera)]
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ValueError(
                f'camera {name!r}: an option must be one of {", ".join(known)}, got {key!r}'
                + (f'; did you mean {near[0]!r}?' if near else '')
            )
    for key in ('name', 'url'):
        if key not in keys:
            raise ValueError(f'camera {name!r}: {key} must be given, got none')
