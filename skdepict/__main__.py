"""The command line: samples in, a page and a table of clusters out.

``python -m skdepict pictures/ --out result/`` needs no line of code. What it writes is
whole or not there, and the same command goes on where it was stopped.
"""

import argparse
import csv
import io
import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Sequence
from hashlib import sha256
from zipfile import BadZipFile

import numpy as np

from skdepict._data.paths import as_path
from skdepict._data.stored import read_image_folder, read_samples
from skdepict._depict import DEPICTClustering, load
from skdepict._typicality import typicality_of
from skdepict.persistence._files import replaced
from skdepict.report import make_report

MODEL, REPORT, LABELS = "model.skdepict", "report.html", "labels.csv"
UNREAD, COLUMNS, CLUSTERS = "unread.txt", "columns.json", "clusters"
UNFINISHED, MADE_HERE = ".unfinished", ".skdepict"
# Pictures are kept at this size: as large as the page shows them.
SIDE = 64
# What some system does not take in the name of a file.
NOT_IN_NAMES = re.compile(r'[%/\\<>:"|?*\x00-\x1f]|[. ]\Z')
MAX_NAME_BYTES = 200
# What a spreadsheet would take for a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
EPILOG = """\
Writes report.html (open it in a browser), labels.csv (file, cluster, confidence,
typicality) and model.skdepict. Where OUT holds a model nothing is trained: its
clusters are used. Killed or stopped, the same command goes on. For photographs of
things, cluster the numbers of a pretrained network, as an .npy file: see
"Embeddings" in the guide.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    arguments : list of str, default=None
        Those of the command line if None.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            _run(parsed)
    except KeyboardInterrupt:
        parser.exit(130, "\nStopped. The same command goes on from here.\n")
    except (BadZipFile, EOFError) as error:
        parser.exit(1, f"{parser.prog}: {parsed.samples} is damaged: {error}\n")
    except (OSError, ValueError, TypeError, ImportError, ArithmeticError) as error:
        parser.exit(1, f"{parser.prog}: {' '.join(str(error).split())}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skdepict",
        description="Find the groups in pictures, embeddings or tables.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("samples", help="a folder of pictures, an .npy or .npz file, or a .csv file")
    add("--out", required=True, help="the folder to write to; made if missing")
    add("--clusters", type=_number, default="auto", help="how many; default: it finds")
    add("--model", help="assign the samples to the clusters of this model.skdepict")
    add(
        "--folders",
        choices=("copy", "link"),
        help="one folder of pictures for each cluster, too",
    )
    add("--pictures", help="a folder of what the samples of a file are numbers of")
    add("--names", help='a JSON file such as {"0": "cats"}, for labels.csv and folders')
    add("--seed", type=int, default=0, help="of the random numbers; default: 0")
    return parser


def _number(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'auto' nor 1 or more")
    return number


def _run(parsed: argparse.Namespace) -> None:
    samples_at, out = as_path(parsed.samples), as_path(parsed.out)
    if not samples_at.exists():
        raise FileNotFoundError(f"There is no file or folder {samples_at}.")
    around = [out.resolve(), *out.resolve().parents]
    # By what they are, since some systems tell no capital from a small letter.
    if samples_at.is_dir() and any(
        folder.exists() and folder.samefile(samples_at) for folder in around
    ):
        raise ValueError(f"--out {out} is within {samples_at}. Choose one beside it.")
    out.mkdir(parents=True, exist_ok=True)
    names = _read_names(parsed.names)
    path = as_path(parsed.model) if parsed.model else out / MODEL
    model = load(path) if parsed.model or path.exists() else None
    if model is not None:
        if parsed.clusters not in ("auto", model.n_clusters_):
            raise ValueError(
                f"{path} has {model.n_clusters_} clusters, not {parsed.clusters}. "
                "Choose another --out to train another model."
            )
        _say(f"The {model.n_clusters_} clusters are those of {path}.")
    files, samples = _read(samples_at, out, path.parent, model)
    pictures, source = None, samples_at
    if parsed.pictures:
        source = as_path(parsed.pictures)
        pictures, files = _pictures_of(source, len(samples))
    if parsed.folders:
        _check_folders(source, parsed.folders, out / CLUSTERS)
    if model is None:
        model = _fit(samples, parsed, out)
    labels, rows = _table(model, files, samples, names)
    page = make_report(
        *(model, samples),
        pictures=pictures,
        sample_names=files,
        cluster_names=names,
    )
    if parsed.folders:
        _sort_into_folders(source, parsed.folders, out, files, labels, names)
    _write(out / REPORT, page)
    # Last: where it is, all is there. Excel needs the mark to see that it is UTF-8.
    _write(out / LABELS, rows, "utf-8-sig")
    _say(
        f"{len(labels):,} samples in {len(np.unique(labels))} clusters: {out / REPORT}"
    )


def _read_names(path: str | None) -> dict[int, str]:
    """Names of clusters by their numbers."""
    if path is None:
        return {}
    try:
        content = json.loads(as_path(path).read_text(encoding="utf-8-sig"))
        return {int(cluster): str(name) for cluster, name in content.items()}
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f'{path} holds no names of clusters such as {{"0": "cats"}}: {error}'
        ) from error


def _read(path, out, home, model):
    """Names of samples, and the samples; `home` is the folder of the model."""
    if path.is_dir():
        return _read_pictures(path, out, model)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, out, home, model)
    samples = read_samples(os.fspath(path))
    return [str(number) for number in range(len(samples))], samples


def _read_pictures(path, out, model):
    shape = (SIDE, SIDE, 3) if model is None else model._input_format.sample_shape
    if len(shape) == 1:
        raise ValueError("The model was trained on rows of numbers, not on pictures.")
    images, files, failed = read_image_folder(path, shape, _tell("read"))
    if failed:
        _write(out / UNREAD, "\n".join(failed) + "\n")
        _say(f"{len(failed)} files are no pictures: {out / UNREAD} names them.")
    else:
        (out / UNREAD).unlink(missing_ok=True)
    if model is None and np.all(images == images[..., :1]):
        images = images[..., 0]
    return files, images


def _read_csv(path, out, home, model):
    """A table with a line of names; a first column of texts names the samples."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}. Save it so.") from error
    first, *_ = text.splitlines() or [""]
    # As spreadsheets write where numbers have a comma.
    delimiter = ";" if first.count(";") > first.count(",") else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header, *lines = [line for line in rows if line] or [[]]
    if len(lines) < 2:
        raise ValueError(
            f"{path} must have a line of names and two or more of numbers."
        )
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(
                f"{path}: line {number} has {len(line)} entries, the first one has "
                f"{len(header)}."
            )
    is_named = not all(_is_number(line[0]) for line in lines)
    files = [line[0] if is_named else str(n) for n, line in enumerate(lines)]
    columns = header[is_named:]
    table = np.empty((len(lines), len(columns)))
    for number, line in enumerate(lines):
        for place, entry in enumerate(line[is_named:]):
            if not _is_number(entry):
                raise ValueError(
                    f"{path}: line {number + 2} has {entry!r} as {columns[place]!r}, "
                    "which must be a finite number. Fill the gaps or drop the line."
                )
            table[number, place] = float(entry)
    if model is None:
        deviations = table.std(axis=0)
        found = {
            "columns": columns,
            "means": table.mean(axis=0).tolist(),
            "deviations": np.where(deviations > 0, deviations, 1.0).tolist(),
        }
        _write(out / COLUMNS, json.dumps(found))
    else:
        found = json.loads((home / COLUMNS).read_text(encoding="utf-8"))
        if found["columns"] != columns:
            raise ValueError(
                f"{path} has the columns {columns}, the model was trained on "
                f"{found['columns']}."
            )
    return files, (table - found["means"]) / found["deviations"]


def _is_number(text):
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _fit(samples, parsed, out):
    model = DEPICTClustering(
        parsed.clusters, random_state=parsed.seed, checkpoint_dir=out / UNFINISHED
    )
    # Before scikit-learn 1.9 there are no callbacks.
    if hasattr(model, "set_callbacks"):
        model.set_callbacks(_Progress())
    model.fit(samples)
    # The model is to be used elsewhere, where this folder is not.
    model.set_params(checkpoint_dir=None)
    model.save(out / MODEL)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    return model


def _table(model, files, samples, names):
    """The clusters of the samples, and all that is said of them as CSV."""
    probabilities = model.predict_proba(samples)
    labels = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    # The share of the samples of the fit that are less typical.
    of_fit = np.sort(typicality_of(model).of_fit)
    typicality = np.searchsorted(of_fit, model.score_samples(samples)) / len(of_fit)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["file", "cluster", *["name"] * bool(names), "confidence", "typicality"]
    )
    for file, label, *numbers in zip(
        *(files, labels.tolist(), confidence, typicality), strict=True
    ):
        name = [_safe(names.get(label, ""))] if names else []
        writer.writerow([_safe(file), label, *name, *(f"{x:.4f}" for x in numbers)])
    return labels, text.getvalue()


def _safe(text):
    """Text that a spreadsheet does not run, of characters that can be written."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "'" + text if text.startswith(FORMULAS) else text


def _pictures_of(folder, n_samples):
    """The pictures that samples were made of, in the order of their names."""
    images, files, failed = read_image_folder(folder, (SIDE, SIDE, 3), _tell("read"))
    if len(files) != n_samples:
        unread = f" Not read: {', '.join(failed[:5])}." if failed else ""
        raise ValueError(
            f"{folder} has {len(files)} pictures for {n_samples} samples. Pass one "
            f"for each, in the order of their names.{unread}"
        )
    return images, files


def _check_folders(source, how, target):
    if not source.is_dir():
        raise ValueError(f"--folders needs a folder of pictures, and {source} is none.")
    # What is there is replaced, so it must be what an earlier run has made.
    if target.is_symlink() or (target.exists() and not (target / MADE_HERE).exists()):
        raise ValueError(
            f"{target} was not made by skdepict. Move it, or choose another --out."
        )
    if how == "link":
        trial = target.with_name(f".{CLUSTERS}-link")
        trial.unlink(missing_ok=True)
        try:
            trial.symlink_to(source.resolve())
            trial.unlink()
        except OSError as error:
            raise OSError(
                f"{target.parent} cannot hold links: {error.strerror}. Use --folders "
                "copy, or on Windows switch Developer Mode on."
            ) from error


def _sort_into_folders(source, how, out, files, labels, names):
    target, partial = out / CLUSTERS, out / f".{CLUSTERS}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    (partial / MADE_HERE).touch()
    for file, label in zip(files, labels.tolist(), strict=True):
        folder = partial / _file_name(f"{label} {names.get(label, '')}".strip())
        folder.mkdir(exist_ok=True)
        # No two files of a folder have one name, nor do any two of these.
        copy = folder / _file_name(file)
        if how == "copy":
            shutil.copyfile(source / file, copy)
        else:
            copy.symlink_to((source / file).resolve())
    # Whole or not at all, also where Windows keeps what is open in a program.
    former = out / f".{CLUSTERS}-former"
    shutil.rmtree(former, ignore_errors=True)
    if target.exists():
        target.replace(former)
    partial.replace(target)
    shutil.rmtree(former, ignore_errors=True)


def _file_name(text):
    """A name that every system takes: "a/b.png" and "a%b.png" stay two."""
    text = NOT_IN_NAMES.sub(lambda found: f"%{ord(found[0]):02X}", text)
    encoded = text.encode()
    if len(encoded) > MAX_NAME_BYTES:
        ending = encoded[-MAX_NAME_BYTES // 2 :].decode(errors="ignore")
        return f"{sha256(encoded).hexdigest()[:16]} {ending}"
    return text


def _write(path, text, encoding="utf-8"):
    with replaced(path) as temporary:
        temporary.write_text(text, encoding=encoding, newline="\n")


class _Progress:
    """A callback that tells of phases and epochs."""

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context):
        """Begin to count the epochs of a phase."""
        if context.task_name != "epoch":
            self._phase, self._n_epochs = context.task_name, context.max_subtasks
            self._n_done = 0

    def on_fit_task_end(self, estimator, context):
        """Count an epoch, or end the line of a phase."""
        if context.task_name == "epoch":
            self._n_done += 1
            _tell(self._phase)(self._n_done, self._n_epochs)
        elif 0 < self._n_done < self._n_epochs and sys.stderr.isatty():
            # It has ended early: the next line is another one.
            self._n_done = 0
            print(file=sys.stderr)


def _tell(action):
    """A function that says how many of how many were done: in one line, if it can."""

    def tell(n_done, n_all):
        if sys.stderr.isatty():
            end = "\n" if n_done >= n_all else ""
            print(f"\r{action} {n_done} of {n_all} ", end=end, file=sys.stderr)
        elif n_done == n_all // 2:
            print(f"{action}: half of {n_all}", file=sys.stderr)

    return tell


def _say(text):
    print(text, file=sys.stderr)


def _show_warning(message, *args, **kwargs):
    _say(" ".join(str(message).split()))


if __name__ == "__main__":
    main()
