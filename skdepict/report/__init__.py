"""A page to look at a model and its samples.

``python -m skdepict.report model.skdepict X.npz --out report.html`` writes one file of
HTML that needs nothing else, and no network: the clusters with their most and least
certain samples, a map of the embedding, cluster sizes, losses and parameters.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skdepict import plotting
from skdepict._data.hints import RandomStateLike, SamplesLike
from skdepict._data.rows import check_rows
from skdepict._data.stored import read_samples
from skdepict._depict import DEPICTClustering, load
from skdepict._typicality import typicality_of
from skdepict.networks._inference import assign, embed_beside_components
from skdepict.persistence._files import replaced
from skdepict.plotting._axes import has_learned_to_decode
from skdepict.report._alike import most_alike
from skdepict.report._thumbnails import PictureThumbnails, Thumbnails, image, sprite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_SHOWN = 12  # samples of each cluster, most and least certain each
N_UNUSUAL = 6
N_ALL = 10_000  # samples that are shown where all of a cluster are
N_ALIKE = 12  # groups of samples that are nearly the same
SURE = 0.9
TEMPLATE = Path(__file__).with_name("page.html")


def make_report(
    model: DEPICTClustering,
    X: SamplesLike,
    *,
    pictures: NDArray[np.uint8] | None = None,
    sample_names: Sequence[str] | None = None,
    cluster_names: Mapping[int, str] | None = None,
    max_points: int = 3000,
    random_state: RandomStateLike = 0,
) -> str:
    """Describe what a model makes of samples in one HTML page.

    Parameters
    ----------
    model : DEPICTClustering
        Fitted.
    X : array-like
        Samples: those of `fit`, or others.
    pictures : ndarray of uint8, of shape (n_samples, height, width[, 3]), default=None
        What the samples are shown as, such as the photographs that they are embeddings
        of. By default images and series are shown as they are, rows of tables by their
        names.
    sample_names : sequence of str, default=None
        What the page calls them, such as names of files; by default their numbers.
    cluster_names : dict of int to str, default=None
        Names of clusters, which can be changed on the page and downloaded from there.
    max_points : int, default=3000
        Of more samples a random part is on the map of the embedding. Where all of a
        cluster are, up to 10,000 are shown (or `max_points`, if that is more), in
        pictures that take 14 MB at most. More than browsers show in one image (16,384
        at 64 pixels) have no pictures there.
    random_state : int, RandomState instance or None, default=0
        Draws that part, and seeds the map (t-SNE).

    Returns
    -------
    page : str
        HTML that needs no other file.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError, ValueError
        If the model is none, X is not as it was in `fit`, there are more or fewer names
        or pictures than samples, or names of clusters that are not there.
    NotFittedError
        If the model has not been fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdepict import DEPICTClustering
    >>> from skdepict.report import make_report
    >>> images = load_digits().images[:200]
    >>> model = DEPICTClustering(
    ...     10, fit_epochs=5, max_iter=1, random_state=0).fit(images)
    >>> page = make_report(model, images)
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    check_matplotlib_support("make_report")
    if not isinstance(model, DEPICTClustering):
        raise TypeError(
            f"{type(model).__name__} was given as model, which must be a "
            "DEPICTClustering. Of a pipeline pass pipeline[-1], and "
            "pipeline[:-1].transform(X) as X."
        )
    if max_points < 1:
        raise ValueError(f"max_points={max_points} must be at least 1.")
    check_is_fitted(model)
    rows, _ = check_rows(model, X, model._input_format.sample_shape)
    if sample_names is None:
        sample_names = [f"sample {number}" for number in range(len(rows))]
    _check_names(sample_names, len(rows), cluster_names or {}, model.n_clusters_)
    points = model._of_parts(X, embed_beside_components)
    embedding = points[:, : model.embedding_.shape[1]]
    probabilities = assign(model.network_, torch.from_numpy(embedding))
    certainty, labels = (part.numpy() for part in probabilities.max(dim=1))
    thumbnails: Thumbnails = Thumbnails(model._input_format, rows)
    if pictures is not None:
        thumbnails = PictureThumbnails(pictures, len(rows))
    typicality = typicality_of(model)(points)
    found = _Found(
        *(model, embedding, labels, certainty, typicality, thumbnails, sample_names)
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        facts=_facts(found),
        clusters=_clusters(found, cluster_names or {}),
        next_join=_next_join(found),
        alike=_alike(found, rows),
        number=_number(model),
        map=_map(found, max_points, random_state),
        sizes=_sizes(found),
        losses=_losses(model),
        parameters=_table(sorted(model.get_params(deep=False).items())),
    )


@dataclass
class _Found:
    """What a model has made of samples, and their pictures."""

    model: DEPICTClustering
    embedding: NDArray[Any]
    labels: NDArray[Any]
    certainty: NDArray[Any]
    typicality: NDArray[Any]
    thumbnails: Thumbnails
    names: Sequence[str]


def _facts(found: _Found) -> str:
    model, certainty = found.model, found.certainty
    facts = {
        "samples": f"{len(certainty):,}",
        "clusters": f"{len(np.unique(found.labels))} of {model.n_clusters_}",
        f"surer than {SURE:.0%}": f"{np.mean(certainty > SURE):.1%}",
        "epochs": f"{len(model.history_)}",
    }
    if model.n_iter_ > 0:
        facts["converged"] = "yes" if model.converged_ else "no"
    return "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items()
    )


def _check_names(
    sample_names: Sequence[str],
    n_samples: int,
    cluster_names: Mapping[int, str],
    n_clusters: int,
) -> None:
    if len(sample_names) != n_samples:
        raise ValueError(
            f"There are {len(sample_names)} sample_names for {n_samples} samples."
        )
    unknown = [key for key in cluster_names if key not in range(n_clusters)]
    if unknown:
        raise ValueError(
            f"cluster_names has {', '.join(map(str, unknown))}, but clusters are the "
            f"integers from 0 to {n_clusters - 1}."
        )


def _clusters(found: _Found, cluster_names: Mapping[int, str]) -> str:
    """A table with the samples of each cluster, and what they have in common."""
    prototypes = _prototypes(found)
    decoded = ["prototype"] if prototypes else []
    shown = "most certain", "least certain", "least typical"
    headings = ("cluster", "name", "samples", "sure", *decoded, *shown)
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    lines = [f"<thead><tr>{head}</tr></thead>\n<tbody>"]
    for cluster in range(found.model.n_clusters_):
        members = np.flatnonzero(found.labels == cluster)
        certainty = found.certainty[members]
        unusual = members[np.argsort(found.typicality[members])][:N_UNUSUAL]
        members = members[np.argsort(-certainty, kind="stable")]
        most, least = members[:N_SHOWN], members[N_SHOWN:][-N_SHOWN:][::-1]
        sure = f"{np.mean(certainty > SURE):.0%}" if len(members) else ""
        samples = [_samples(found, part) for part in (most, least, unusual)]
        name = escape(cluster_names.get(cluster, ""))
        field = (
            f'<input name="{cluster}" value="{name}" size="12" '
            f'aria-label="name of cluster {cluster}">'
        )
        size = f'<button data-cluster="{cluster}">{len(members):,}</button>'
        cells = (field, size, sure, *prototypes[cluster : cluster + 1], *samples)
        columns = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{cluster}</th>{columns}</tr>')
    return "\n".join([*lines, "</tbody>"])


def _next_join(found: _Found) -> str:
    """The two clusters that would be one if there were one less, side by side."""
    model = found.model
    if model.n_clusters_ < 2 or not hasattr(model, "linkage_"):
        return "<p>Nothing is known of joins.</p>"
    now, then = model.cut(model.n_clusters_), model.cut(model.n_clusters_ - 1)
    pairs = np.unique(np.column_stack([then, now]), axis=0)
    joined = np.bincount(pairs[:, 0]).argmax()
    lines = []
    for part in pairs[pairs[:, 0] == joined, 1]:
        # Training went on after the joins, so names of clusters differ.
        cluster = int(np.bincount(model.labels_[now == part]).argmax())
        members = np.flatnonzero(found.labels == cluster)
        members = members[np.argsort(-found.certainty[members], kind="stable")]
        cell = _samples(found, members[: 2 * N_SHOWN])
        lines.append(f'<tr><th scope="row">{cluster}</th><td>{cell}</td></tr>')
    return f'<table class="samples"><tbody>{"".join(lines)}</tbody></table>'


def _alike(found: _Found, rows: Any) -> str:
    """Samples that are nearly the same, group by group."""
    scaled = found.model._input_format.scaled_rows
    groups = most_alike(lambda index: scaled(rows[index]), found.labels, N_ALIKE)
    lines = []
    for members in groups:
        cluster, cell = found.labels[members[0]], _samples(found, members[:N_SHOWN])
        lines.append(f'<tr><th scope="row">{cluster}</th><td>{cell}</td></tr>')
    return f'<table class="samples"><tbody>{"".join(lines)}</tbody></table>'


def _number(model: DEPICTClustering) -> str:
    if not hasattr(model, "number_evidence_"):
        return "<p>Nothing is known of other numbers.</p>"
    display = plotting.ClusterNumberDisplay(
        **model.number_evidence_, chosen=model.n_clusters_
    )
    return _figure(lambda figure: display.plot(figure.subplots()), (7, 2.6))


def _prototypes(found: _Found) -> list[str]:
    """A picture of each cluster's prototype; none where none can be shown."""
    model = found.model
    if not found.thumbnails.show_rows or not has_learned_to_decode(model):
        return []
    cells = [""] * model.n_clusters_
    prototypes = model.cluster_prototypes_.reshape(model.n_clusters_, -1)
    decoded = np.flatnonzero(~np.isnan(prototypes).any(axis=1))
    pictures = found.thumbnails.draw_rows(prototypes[decoded])
    for cluster, picture in zip(decoded.tolist(), pictures, strict=True):
        title = f"prototype of cluster {cluster}"
        cells[cluster] = f'<img src="{image(picture)}" title="{title}" alt="{title}">'
    return cells


def _samples(found: _Found, index: Sequence[int] | NDArray[Any]) -> str:
    """Pictures of samples, or their names."""
    if len(index) == 0:
        return "none"
    titles = [
        escape(f"{found.names[i]}, probability {found.certainty[i]:.3f}") for i in index
    ]
    if not found.thumbnails.exist:
        return "".join(
            f'<span class="row" title="{title}">{escape(found.names[i])}</span> '
            for i, title in zip(index, titles, strict=True)
        )
    return "".join(
        f'<img src="{image(picture)}" title="{title}" alt="{title}">'
        for picture, title in zip(found.thumbnails.draw(index), titles, strict=True)
    )


def _map(found: _Found, max_points: int, random_state: RandomStateLike) -> str:
    """Samples, their places on the map, and their pictures in one image, as JSON."""
    generator = check_random_state(random_state)
    index = _part(np.arange(len(found.labels)), max(max_points, N_ALL), generator)
    on_map = _part(np.arange(len(index)), max_points, generator)
    places: list[Any] = [[None, None]] * len(index)
    if len(on_map) > 2 and found.embedding.shape[1] > 1:
        points = _places(found, index[on_map], generator)
        for number, (x, y) in zip(on_map, points.tolist(), strict=True):
            places[number] = [round(x, 4), round(y, 4)]
    samples = [
        [*place, int(label), round(float(p), 3), found.names[int(number)]]
        for place, label, p, number in zip(
            *(places, found.labels[index], found.certainty[index], index), strict=True
        )
    ]
    content: dict[str, Any] = {"samples": samples, "sprite": None}
    content["n_clusters"] = found.model.n_clusters_
    if found.thumbnails.exist and found.thumbnails.fit_into_one(len(index)):
        content |= sprite(found.thumbnails.draw(index))
    # "</script>" in a string would end the script.
    return json.dumps(content).replace("<", "\\u003c")


def _part(index: NDArray[Any], n_most: int, generator: Any) -> NDArray[Any]:
    if len(index) <= n_most:
        return index
    part: NDArray[Any] = np.sort(generator.choice(index, n_most, replace=False))
    return part


def _places(found: _Found, index: NDArray[Any], generator: Any) -> NDArray[Any]:
    """The places of samples on the map, from 0 to 1."""
    from matplotlib.figure import Figure

    display = plotting.EmbeddingDisplay.from_predictions(
        found.embedding[index],
        found.labels[index],
        max_samples=len(index),
        random_state=generator,
        ax=Figure().subplots(),
    )
    points = display.points - display.points.min(axis=0)
    scaled: NDArray[Any] = points / (points.max() or 1.0)
    return scaled


def _sizes(found: _Found) -> str:
    prior, n_clusters = found.model.prior_, found.model.n_clusters_
    return _figure(
        lambda figure: plotting.ClusterSizesDisplay.from_predictions(
            found.labels, prior=prior, n_clusters=n_clusters, ax=figure.subplots()
        ),
        (7, 2.6),
    )


def _losses(model: DEPICTClustering) -> str:
    if not any(record.get("loss") for record in model.history_):
        return "<p>Nothing was trained: no epochs, or one cluster.</p>"
    return _figure(plotting.TrainingHistoryDisplay(model.history_).plot, (7, 5.5))


def _figure(draw: Callable[[Figure], object], size: tuple[float, float]) -> str:
    """What a function draws, as SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    file = io.StringIO()
    # Letters stay letters, and nothing of the time or by chance is in the page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skdepict"}):
        draw(figure)
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    return file.getvalue()[file.getvalue().index("<svg") :]


def _table(items: Iterable[tuple[str, object]]) -> str:
    return "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(repr(value))}</td></tr>'
        for name, value in items
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    arguments : list of str, default=None
        Those of the command line if None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m skdepict.report",
        description="Write a page about a fitted model and its samples.",
    )
    parser.add_argument("model", help="a file that model.save has written")
    parser.add_argument("samples", help=".npz with X, or .npy")
    parser.add_argument("--out", default="report.html", help="default: report.html")
    parsed = parser.parse_args(arguments)
    try:
        page = make_report(load(parsed.model), read_samples(parsed.samples))
        with replaced(parsed.out) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except (BadZipFile, EOFError) as error:
        parser.exit(1, f"{parser.prog}: {parsed.samples} is damaged: {error}\n")
    except (OSError, ValueError, TypeError, ImportError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    print(f"{parsed.out!a}: {len(page) / 2**20:.1f} MiB")
