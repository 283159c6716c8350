"""Where the files beside the code lie: config, launch files, sample bags and the embedded reasoner's weights."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

from embodied_r_ros.core.errors import SettingsError

PACKAGE = 'embodied_r_ros'


def share_dir(module: pathlib.Path | None = None) -> pathlib.Path:
    """The folder that holds `package.xml`, `config/`, `launch/` and `data/`.

    In a checkout (and where colcon linked to one) this is the repository's root, so that code and data are of one
    version. Installed, it is `share/embodied_r_ros` of the prefix that the code runs from, or else of a prefix of the
    ament index.

    Args:
        module: a file in the package's folder; this one unless told.

    Raises:
        SettingsError: the package was copied without its share folder.
    """
    here = (module or pathlib.Path(__file__)).resolve()
    for folder in _candidates(here):
        if (folder / 'package.xml').is_file():
            return folder
    raise SettingsError(
        f'wanted the share folder of {PACKAGE} (with package.xml and config/) in a checkout, beside the installed code '
        f'or under AMENT_PREFIX_PATH={os.environ.get("AMENT_PREFIX_PATH", "")!r}, found none for {str(here)!r}; '
        'install the package with colcon or pip, and source the workspace'
    )


def share_path(path: str | os.PathLike[str]) -> pathlib.Path:
    """A path as it was given, when it exists or is absolute; otherwise taken from the share folder."""
    given = pathlib.Path(path).expanduser()
    try:
        is_there = given.is_absolute() or given.exists()
    except (OSError, ValueError):  # a name too long, or with a NUL in it
        is_there = False
    return given if is_there else share_dir() / given


def _candidates(module: pathlib.Path) -> Iterator[pathlib.Path]:
    yield module.parents[1]
    indexed = [pathlib.Path(prefix) for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if prefix]
    for prefix in (*module.parents[2:], *indexed):
        yield prefix / 'share' / PACKAGE
