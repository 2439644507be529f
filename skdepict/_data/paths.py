"""Paths that a user has named."""

import os
from pathlib import Path


def as_path(path):
    """The path that a user has named, where "~" is the home folder."""
    path = Path(path)
    # On Windows "~name" would be a folder beside the user's own, even if there is none.
    if os.name == "nt" and path.parts[:1] != ("~",):
        return path
    return Path(os.path.expanduser(path))


def check_file(path):
    """Refuse what is there but no file: of a pipe, one would wait for ever.

    Raises
    ------
    OSError
        If there is no such file. The path is named as the user has it.
    """
    path = as_path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and a file is needed.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if not path.is_file():
        raise OSError(f"{path} is no file, but a pipe, a socket or a device.")
    return path
