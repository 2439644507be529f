"""Files that are complete or not there."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path):
    """Give the path of a new file, which takes the place of an old one at the end.

    Parameters
    ----------
    path : str or Path
        The file to be; what is there stays until the end, or if something fails.

    Yields
    ------
    temporary : Path
        A file beside it, to be written; it is gone afterwards, in any case.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path, data):
    """Write bytes to a file, onto the disk, as a whole or not at all."""
    with replaced(path) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
