"""Files that are complete or not there, and texts of strangers."""

import json
import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

from skdepict._data.paths import as_path

# More than 30,000 epochs write, and as Python objects 30 megabytes at most.
MAX_VALUES = 300_000
# For a second: virus scanners look at each new file.
N_TRIES = 10
STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')


@contextmanager
def replaced(path):
    """Give the path of a new file, which takes the place of an old one at the end.

    Parameters
    ----------
    path : str or Path
        The file to be; what is there stays until the end, or if something fails. A link
        stays one, and the file that it leads to is replaced. The permissions stay.

    Yields
    ------
    temporary : Path
        A file beside it, to be written; it is gone afterwards, in any case.

    Raises
    ------
    OSError
        If its folder is missing, or if it is a folder itself.
    """
    named = as_path(path)
    path = Path(os.path.realpath(named))
    if path.is_dir():
        raise IsADirectoryError(f"{named} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {named.parent} to write {named} to. Make it first."
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
        if path.exists() and os.name != "nt":
            shutil.copymode(path, temporary)
        _take_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _take_place(temporary, path):
    """Replace a file; Windows refuses as long as a program has either of them open."""
    for tries_left in reversed(range(N_TRIES if os.name == "nt" else 1)):
        try:
            temporary.replace(path)
            return
        except PermissionError as error:
            if not tries_left:
                raise PermissionError(
                    f"{path} cannot be replaced: {error.strerror}. Close the programs "
                    "that have it open, and look at the permissions of its folder."
                ) from error
            time.sleep(0.1)


def write_whole(path, data):
    """Write bytes to a file, onto the disk, as a whole or not at all."""
    with replaced(path) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def parse_json(text, n_more=0, max_values=MAX_VALUES):
    """Parse JSON of an unknown source in memory that is bounded.

    Two bytes of a text may be a value that takes a hundred as an object.

    Parameters
    ----------
    text : str
    n_more : int, default=0
        How many values are expected beyond those of any file.
    max_values : int, default=300_000
        How many are in any file, at most.

    Returns
    -------
    content : object

    Raises
    ------
    ValueError
        If the text is no JSON, or may have too many values.
    """
    outside = STRING.sub("", text)
    n_values = sum(map(outside.count, ",[{"))
    if n_values > max_values + n_more:
        raise ValueError(
            f"its JSON may have {n_values:,} values, and {max_values + n_more:,} are "
            "the most that is parsed"
        )
    return json.loads(text)
