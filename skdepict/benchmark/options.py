"""Options of the command line."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path


def study_parser(description, methods, sets, **keywords):
    """A parser with the options of a study.

    Parameters
    ----------
    description : str
    methods, sets : iterable of str
        Those that can be chosen.
    **keywords
        Of `argparse.ArgumentParser`.

    Returns
    -------
    parser : argparse.ArgumentParser
    """
    parser = ArgumentParser(description=description, **keywords)
    parser.add_argument(
        "--data-dir",
        help="folder of the data sets of a study; those that are missing are left out",
    )
    parser.add_argument(
        "--sets",
        type=words,
        help=f"comma-separated, of {', '.join(sets)}",
    )
    parser.add_argument(
        "--methods", type=words, help=f"comma-separated, of {', '.join(methods)}"
    )
    parser.add_argument("--seeds", type=positive, help="how many: 0, 1, ...")
    parser.add_argument(
        "--output",
        type=in_folder,
        help="where to write OUTPUT.csv and OUTPUT.md, and OUTPUT.png of a study. A "
        "study continues with the rows that OUTPUT.csv has",
    )
    return parser


def needed(arguments, option):
    """The value of an option that has to be given."""
    value = getattr(arguments, option.strip("-").replace("-", "_"))
    if value is None:
        raise ValueError(f"{option} is needed")
    return value


def words(text):
    """What commas separate."""
    return text.split(",")


def check_words(chosen, known, kind):
    """Refuse names that are not known."""
    if unknown := set(chosen) - set(known):
        raise ValueError(f"unknown {kind} {sorted(unknown)}; known: {list(known)}")


def positive(text):
    """An integer of at least 1."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} must be an integer of at least 1")
    return int(text)


def positives(text):
    """Integers of at least 1 that commas separate."""
    return [positive(word) for word in words(text)]


def in_folder(text):
    """A path whose folder exists."""
    if not Path(text).parent.is_dir():
        raise ArgumentTypeError(f"{text}: its folder does not exist")
    return text
