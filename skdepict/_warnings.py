"""Warnings that point at the user's line."""

import sys
import warnings

# Through whose code calls reach us: pipelines, searches, decorators, processes.
BETWEEN = {"skdepict", "sklearn", "joblib", "contextlib", "functools", "torch"}


def warn(message, category=UserWarning):
    """Warn with the place of the nearest caller that is neither ours nor a library's.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_between(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN
