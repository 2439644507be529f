"""Checkpoints on the disk, so that a fit that was killed can be resumed.

A checkpoint is a file in the safetensors format, as a saved model is: arrays and JSON,
and no code.
"""

import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress

import numpy as np
from filelock import FileLock, Timeout

from skdepict._data.paths import as_path
from skdepict._surroundings import warn
from skdepict.persistence._files import parse_json, write_whole

VERSION = 4
# Between the ends of phases, writing takes no more of the time.
SHARE_OF_TIME = 0.05
# Of one and the same fit beside each other; more are taken for locks that fail.
MAX_FITS = 64


class CheckpointError(ValueError):
    """A checkpoint is damaged, or belongs to another fit."""


class Checkpoints:
    """The checkpoint of one fit.

    Its name tells the fit, by its parameters and its data, so that many fits, as those
    of a grid search, can have one folder. A fit that runs holds a lock on it; one that
    begins beside it, with the same parameters and data, has a checkpoint of its own.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.
    identity : str
        Of the fit; see `skdepict.persistence._identity.identify`.
    """

    def __init__(self, folder, identity):
        self._identity = identity
        self._folder = as_path(folder)
        self.path = self._path(1)
        # When the next one is due.
        self._next = 0.0

    @contextmanager
    def held(self):
        """Hold the first checkpoint of this fit that no other running one holds.

        Raises
        ------
        OSError
            If there can be no such folder, or no file in it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        # One that was killed may have had another number than the first that is free.
        numbers = sorted(
            range(1, MAX_FITS + 1), key=lambda n: not self._path(n).exists()
        )
        for number in numbers:
            self.path = self._path(number)
            lock = FileLock(self.path.with_suffix(".lock"), timeout=0)
            with suppress(Timeout):
                lock.acquire()
                break
        else:
            raise OSError(
                f"No file in {self._folder} can be locked. Use another checkpoint_dir, "
                "on a file system of this machine."
            )
        try:
            yield
        finally:
            # Removed while it is held: who waits for it sees that it is gone.
            with suppress(OSError):
                os.unlink(lock.lock_file)
            lock.release()

    def _path(self, number):
        name = self._identity[:16] + f"-{number}" * (number > 1)
        return self._folder / f"{name}.checkpoint"

    def read(self, check):
        """What was written last.

        Parameters
        ----------
        check : callable
            Raises an error if the content is not what a fit writes.

        Returns
        -------
        saved : tuple (dict, dict of ndarray) or None
            The content and the arrays; None where there is no checkpoint.

        Raises
        ------
        CheckpointError
            If the file is no whole checkpoint of this fit.
        """
        from safetensors import safe_open

        if not self.path.exists():
            return None
        with self.guarded():
            with safe_open(os.fspath(self.path), framework="numpy") as file:
                metadata = file.metadata()
                names = file.keys()
                arrays = {name: file.get_tensor(name) for name in names}
            content = parse_json(metadata["skdepict checkpoint"])
            if content["version"] != VERSION:
                raise ValueError(f"version {content['version']!r} of the format")
            if metadata["digest"] != _digest(metadata["skdepict checkpoint"], arrays):
                raise ValueError("its content does not have the digest it names")
            check(content)
        if content["identity"] != self._identity:
            raise CheckpointError(
                f"{self.path} belongs to a fit with other parameters or other data. "
                "Move it away, or give this fit another checkpoint_dir."
            )
        return content, arrays

    @contextmanager
    def guarded(self):
        """Whatever is wrong with what was read is damage."""
        try:
            yield
        except (MemoryError, OSError, CheckpointError):
            raise
        except Exception as error:  # any damage, to a file that may be anything
            raise CheckpointError(
                f"{self.path} is damaged, or no checkpoint of this release "
                f"({type(error).__name__}: {error}). It was left as it is; move it "
                "away to begin anew."
            ) from error

    def write_at_times(self, state_dict, now):
        """Write if it must be now, or if it was long ago for what it takes.

        Parameters
        ----------
        state_dict : callable
            Returns plain values and tensors, two dicts by name.
        now : bool
        """
        begun = time.monotonic()
        if now or begun >= self._next:
            self._write(*state_dict())
            ended = time.monotonic()
            self._next = ended + (ended - begun) / SHARE_OF_TIME

    def _write(self, content, tensors):
        """Put a checkpoint in the place of the one before, as a whole or not at all.

        Where the disk is full, or the folder gone, a warning says so.
        """
        from safetensors.numpy import save as to_bytes

        content = {"version": VERSION, "identity": self._identity} | content
        text = json.dumps(content)
        arrays = {
            name: np.require(tensor.numpy(force=True), requirements="C")
            for name, tensor in tensors.items()
        }
        metadata = {"skdepict checkpoint": text, "digest": _digest(text, arrays)}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, to_bytes(arrays, metadata=metadata))
        except OSError as error:
            warn(
                f"No checkpoint could be written to {self.path} ({error}). Training "
                "continues without one; free some space, or use another "
                "checkpoint_dir next time.",
            )

    def remove(self):
        """Take the checkpoint away, and what killed processes have left of theirs.

        Where that fails, a warning says so: the fit is done.
        """
        try:
            for leftover in self.path.parent.glob(f".{self.path.name}.*"):
                leftover.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        except OSError as error:
            warn(f"The checkpoint {self.path} could not be removed ({error}).")


def _digest(text, arrays):
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()
