"""Draw the thumbnails of those examples that the gallery does not run.

Two of them are of the pages that the examples on photographs and on texts write, as a
browser shows them; the others are drawn from a small run::

    python docs/thumbnails.py photographs.html texts.html

It needs Chromium, and what the examples need: pynndescent, dask and onnxruntime.
"""

import contextlib
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, make_blobs
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, ShuffleSplit

FOLDER = Path(__file__).parent / "_static" / "examples"
sys.path.append(str(Path(__file__).parents[1] / "examples"))


def approximate_neighbors(ax):
    from pynndescent import PyNNDescentTransformer

    from skdepict import PathIntegralClustering

    X, _ = make_blobs(
        20_000, n_features=20, centers=50, cluster_std=3.0, random_state=0
    )
    transformer = PyNNDescentTransformer(n_neighbors=20, random_state=0)
    graph = transformer.fit_transform(X.astype(np.float32))
    labels = PathIntegralClustering(50, metric="precomputed").fit_predict(graph)
    places = TSNE(random_state=0).fit_transform(X[:3000])
    ax.scatter(*places.T, c=labels[:3000] % 20, s=1, cmap="tab20")
    ax.set(xticks=[], yticks=[], title="50 clusters of 20,000 samples")


def dask_search(ax):
    import dask_search

    X, y = load_digits().images, load_digits().target
    found = dask_search.search(X, y, {"n_clusters": [8, 10, 12]}).cv_results_
    numbers = [str(params["n_clusters"]) for params in found["params"]]
    ax.bar(numbers, found["mean_test_score"])
    ax.set(xlabel="n_clusters", ylabel="adjusted Rand index", title="Digits")


def distributed_fit(ax):
    ax.set(xlim=(0, 10), ylim=(0, 6), title="torchrun --nproc-per-node 2")
    ax.axis("off")
    box = {"boxstyle": "round,pad=0.5", "facecolor": "#dbe9f6"}
    arrow = {"arrowstyle": "->", "shrinkA": 32, "shrinkB": 40}
    for y, name in ((4.5, "process 0\nfirst half"), (1.5, "process 1\nsecond half")):
        ax.annotate("", (5, y), (1.2, 3), arrowprops=arrow)
        ax.annotate("", (8.6, 3), (5, y), arrowprops=arrow)
        ax.text(5, y, name, ha="center", va="center", bbox=box)
    for x, name in ((1.2, "images.npy"), (8.6, "one model")):
        ax.text(x, 3, name, ha="center", va="center", bbox=box)
    ax.annotate("", (5, 3.7), (5, 2.3), arrowprops={"arrowstyle": "<->"})
    ax.text(5.1, 3, "gradients", va="center")


def million_images(ax):
    import million_images

    images = np.uint8(np.kron(load_digits().images[:10] * 15, np.ones((4, 4))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        origins = million_images.write_images(path, images, 400)
        written = np.load(path)
    chosen = [np.flatnonzero(origins == digit)[:12] for digit in range(7)]
    ax.imshow(np.vstack([np.hstack(written[rows]) for rows in chosen]), cmap="gray")
    ax.set_title("Bent copies of images")
    ax.axis("off")


def model_selection(ax):
    import model_selection

    from skdepict import DEPICTClustering

    search = GridSearchCV(
        DEPICTClustering(random_state=0),
        {"n_clusters": model_selection.GRID["n_clusters"]},
        scoring=model_selection.SCORERS,
        refit=False,
        cv=ShuffleSplit(1, test_size=0.5, random_state=0),
    ).fit(load_digits().images)
    numbers = [params["n_clusters"] for params in search.cv_results_["params"]]
    for scorer in model_selection.SCORERS:
        scores = search.cv_results_[f"mean_test_{scorer}"]
        ax.plot(numbers, scores, marker="o", label=scorer)
    ax.set(xlabel="n_clusters", ylabel="score", title="Digits: scores without classes")
    ax.legend(fontsize="x-small")


def serve_model(ax):
    import serve_model

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        serve_model.main()
    lines = re.findall(r"(.+?)  .*?([\d.]+) ms an image", printed.getvalue())
    names, costs = zip(*lines, strict=True)
    ax.barh(names, [float(cost) for cost in costs])
    ax.set(xlabel="milliseconds an image", title="Ways of serving a model")
    ax.invert_yaxis()


def photograph(page, name):
    """What a browser shows of the clusters on a page."""
    file = FOLDER / f"{name}.png"
    options = "--headless --no-sandbox --disable-gpu --hide-scrollbars"
    size = "--window-size=1120,1000"
    address = Path(page).resolve().as_uri()
    command = ["chromium", *options.split(), size, f"--screenshot={file}", address]
    subprocess.run(command, check=True, capture_output=True)
    picture = Image.open(file).convert("RGB").crop((0, 150, 1120, 934))
    picture.resize((400, 280), Image.Resampling.LANCZOS).save(file)


def main():
    plt.rcParams["savefig.dpi"] = 100
    pages = "photos_with_pretrained_features", "texts_with_a_sentence_encoder"
    for page, name in zip(sys.argv[1:], pages, strict=True):
        photograph(page, name)
    drawn = (
        *(approximate_neighbors, dask_search, distributed_fit),
        *(million_images, model_selection, serve_model),
    )
    for draw in drawn:
        figure, ax = plt.subplots(figsize=(4, 2.8), layout="constrained")
        draw(ax)
        figure.savefig(FOLDER / f"{draw.__name__}.png")
        plt.close(figure)


if __name__ == "__main__":
    main()
