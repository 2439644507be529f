"""Displays: what they hold, what they draw, and how they refuse."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import TensorDataset

from skdepict import PathIntegralClustering
from skdepict.metrics import silhouette
from skdepict.plotting import (
    ClusterImagesDisplay,
    ClusterNumberDisplay,
    ClusterSizesDisplay,
    DendrogramDisplay,
    EmbeddingDisplay,
    ReconstructionDisplay,
    TrainingHistoryDisplay,
)

from .conftest import quick


@pytest.fixture(autouse=True)
def pictures_nobody_sees():
    """Draw without a screen, and close what was drawn."""
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "agg", "figure.max_open_warning": 0}):
        yield
        plt.close("all")


def drawn(display):
    """Have everything drawn, which finds what is wrong with it."""
    display.figure_.canvas.draw()
    return display


def test_embedding_shows_clusters_confidence_and_labels(fitted, few_digits):
    images, y = few_digits
    for color, X, name in (
        ("cluster", None, "cluster"),
        ("confidence", images, "confidence"),
        ("typicality", images, "typicality"),
        (y, None, "label"),
    ):
        display = drawn(
            EmbeddingDisplay.from_estimator(fitted, X, color=color, reducer="pca")
        )
        assert display.points.shape == (300, 2)
        assert name in display.ax_.get_title()
    assert len(display.ax_.get_legend().get_texts()) == 10
    np.testing.assert_array_equal(display.values, y)


@pytest.mark.parametrize("search", [False, True])
def test_displays_take_pipelines_and_searches(blobs, search):
    X, _ = blobs
    model = make_pipeline(StandardScaler(), quick(3))
    if search:
        grid = {"depictclustering__learning_rate": [1e-3]}
        model = GridSearchCV(model, grid, scoring=silhouette, cv=2)
    model.fit(X)
    last = (model.best_estimator_ if search else model)[-1]
    for display in (ClusterNumberDisplay, ClusterSizesDisplay, TrainingHistoryDisplay):
        drawn(display.from_estimator(model))
    alone = EmbeddingDisplay.from_estimator(last, reducer="pca")
    for samples in (None, X):
        whole = EmbeddingDisplay.from_estimator(
            model,
            samples,
            color="typicality" if samples is X else "cluster",
            reducer="pca",
        )
        np.testing.assert_allclose(whole.points, alone.points, atol=1e-4)


def test_titles_of_few_clusters_are_whole(few_digits):
    images, _ = few_digits
    # A prototype fills its place up to the title.
    display = drawn(ClusterImagesDisplay.from_estimator(quick(2).fit(images), images))
    assert display.prototypes is not None
    for ax in display.axes_[0]:
        box = ax.title.get_window_extent()
        assert box.y1 <= display.figure_.bbox.y1
    with pytest.raises(ValueError, match="n_images=0 must be at least 1"):
        ClusterImagesDisplay.from_predictions(images, np.ones((300, 1)), n_images=0)


def test_images_are_drawn_on_a_part_of_a_figure_and_on_a_low_one(few_digits):
    import matplotlib.pyplot as plt

    images, _ = few_digits
    for figure in (plt.figure().subfigures(1, 2)[0], plt.figure(figsize=(4, 0.3))):
        ClusterImagesDisplay.from_predictions(images, np.ones((300, 1)), figure=figure)
        figure.figure.canvas.draw()


def test_displays_say_what_they_cannot_draw(blobs):
    X, _ = blobs
    grid = {"learning_rate": [1e-3]}
    search = GridSearchCV(quick(3), grid, scoring=silhouette, cv=2, refit=False).fit(X)
    with pytest.raises(ValueError, match=r"no best_estimator_.*refit=True"):
        ClusterSizesDisplay.from_estimator(search)
    model = make_pipeline(StandardScaler(), "passthrough").fit(X)
    with pytest.raises(TypeError, match=r"draws a fitted clusterer.*'passthrough'"):
        ClusterSizesDisplay.from_estimator(model)
    within = make_pipeline(StandardScaler(), make_pipeline(quick(3))).fit(X)
    drawn(ClusterSizesDisplay.from_estimator(within, X))


def test_embedding_takes_any_reducer_and_a_part_of_the_samples(fitted):
    display = EmbeddingDisplay.from_estimator(fitted, reducer=PCA(3))
    expected = PCA(3).fit_transform(fitted.embedding_)[:, :2]
    np.testing.assert_allclose(np.abs(display.points), np.abs(expected), atol=1e-4)
    few = EmbeddingDisplay.from_estimator(fitted, max_samples=40)
    assert few.points.shape == (40, 2)
    again = EmbeddingDisplay.from_estimator(fitted, max_samples=40)
    np.testing.assert_array_equal(few.points, again.points)


@pytest.mark.parametrize("reducer", ["tsne", "pca"])
@pytest.mark.parametrize("shape", [(1, 5), (1, 1), (2, 5), (2, 1), (30, 1)])
def test_the_smallest_embeddings_can_be_drawn(shape, reducer):
    embedding = np.random.default_rng(0).random(shape)
    display = drawn(
        EmbeddingDisplay.from_predictions(
            embedding, np.arange(len(embedding)) % 2, reducer=reducer
        )
    )
    assert display.points.shape == (len(embedding), 2)
    assert np.isfinite(display.points).all()
    if shape[1] == 1:
        np.testing.assert_array_equal(display.points[:, 0], embedding[:, 0])


def test_many_groups_are_named_in_place():
    rng = np.random.default_rng(0)
    display = drawn(
        EmbeddingDisplay.from_predictions(
            rng.normal(size=(200, 2)), np.arange(200) % 25, reducer="pca"
        )
    )
    assert display.ax_.get_legend() is None
    assert len(display.ax_.texts) == 25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"color": "size"}, "must be 'cluster', 'confidence', 'typicality' or"),
        ({"color": "confidence"}, "needs X"),
        ({"color": "typicality"}, "needs X"),
        ({"color": [1, 2]}, "inconsistent numbers of samples"),
        ({"reducer": "umap"}, "must be 'tsne', 'pca' or a transformer"),
    ],
)
def test_embedding_refuses_what_it_cannot_draw(arguments, message, fitted):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_estimator(fitted, **arguments)


def test_images_are_in_the_order_of_certainty_and_of_typicality(fitted, few_digits):
    images = few_digits[0]
    display = drawn(ClusterImagesDisplay.from_estimator(fitted, images, n_images=4))
    probabilities = fitted.predict_proba(images)
    typicality = fitted.score_samples(images)
    assert display.images.shape == (10, 3, 4, 8, 8, 1)
    assert display.axes_.shape == (10, 4)
    assert display.axes_[0, 0].get_title() == "prototype"
    prototypes = display.prototypes[..., 0]
    np.testing.assert_allclose(prototypes, fitted.cluster_prototypes_)
    np.testing.assert_array_equal(display.sizes, np.bincount(fitted.labels_))
    for cluster in range(10):
        members = np.flatnonzero(fitted.labels_ == cluster)
        certainty = probabilities[members].max(axis=1)
        for row, best in ((0, certainty.argmax()), (1, certainty.argmin())):
            shown = display.images[cluster, row, 0, ..., 0]
            candidates = images[members[certainty == certainty[best]]]
            assert any(np.array_equal(shown, image) for image in candidates)
        np.testing.assert_array_equal(
            display.images[cluster, 2, 0, ..., 0],
            images[members[typicality[members].argmin()]],
        )


def test_images_are_drawn_from_a_file(fitted, few_digits, tmp_path):
    images, _ = few_digits
    np.save(tmp_path / "images.npy", images)
    from_memory = ClusterImagesDisplay.from_estimator(fitted, images)
    for X in (
        tmp_path / "images.npy",
        np.load(tmp_path / "images.npy", mmap_mode="r"),
        TensorDataset(torch.from_numpy(images)),
        images.reshape(300, 64),
    ):
        display = drawn(ClusterImagesDisplay.from_estimator(fitted, X))
        np.testing.assert_array_equal(display.images, from_memory.images)
        np.testing.assert_array_equal(display.sizes, from_memory.sizes)


def test_small_clusters_and_colours_can_be_drawn():
    probabilities = np.eye(3)[[0, 0, 1]]
    images = np.random.default_rng(0).random((3, 9, 8, 3))
    display = drawn(ClusterImagesDisplay.from_predictions(images, probabilities))
    np.testing.assert_array_equal(display.sizes, [2, 1, 0])
    assert np.isnan(display.images[2]).all()
    assert display.images.shape[1] == 2
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ClusterImagesDisplay.from_predictions(images, probabilities, typicality=[1])


def test_a_decoder_that_has_learned_nothing_is_not_drawn(few_digits):
    images = few_digits[0]
    model = quick(10, reconstruction_weight=0.0).fit(images)
    display = drawn(ClusterImagesDisplay.from_estimator(model, images))
    assert display.prototypes is None
    assert display.axes_.shape == (10, 3)


def test_images_of_tables_are_refused(blobs):
    model = quick().fit(blobs[0])
    with pytest.raises(ValueError, match="which are no images"):
        ClusterImagesDisplay.from_estimator(model, blobs[0])


def test_history_draws_each_term_and_names_the_phases(few_digits):
    model = quick(10, pretrain_epochs=2).fit(few_digits[0])
    display = drawn(TrainingHistoryDisplay.from_estimator(model))
    labels = [ax.get_ylabel() for ax in display.axes_]
    terms = ["reconstruction loss", "KL(Q || P)", "KL(f || u)", "change of Q"]
    assert labels == terms
    names = [text.get_text().split()[0] for text in display.axes_[0].texts]
    assert names[:3] == ["pretrain", "initialise", "joint"]
    values = display.axes_[1].lines[0].get_ydata()
    expected = [record["clustering"] for record in model.history_]
    np.testing.assert_array_equal(values[2:], expected[2:])
    with pytest.raises(ValueError, match="no epoch was trained"):
        TrainingHistoryDisplay([]).plot()


def test_sizes_are_drawn_against_the_prior(fitted):
    display = drawn(ClusterSizesDisplay.from_estimator(fitted))
    heights = [bar.get_height() for bar in display.ax_.patches]
    np.testing.assert_array_equal(heights, np.bincount(fitted.labels_))
    given = ClusterSizesDisplay.from_predictions([0, 0, 2], prior=[0.5, 0.2, 0.3])
    np.testing.assert_array_equal(given.sizes, [2, 0, 1])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        ClusterSizesDisplay.from_predictions([0, 5], prior=[0.5, 0.5])


def test_numbers_of_clusters_are_drawn_with_what_speaks_for_them(few_digits):
    model = quick("auto").fit(few_digits[0])
    display = drawn(ClusterNumberDisplay.from_estimator(model))
    of_all, of_least, modularity, chosen = display.ax_.lines
    evidence = model.number_evidence_
    np.testing.assert_array_equal(of_all.get_xdata(), evidence["n_clusters"])
    np.testing.assert_array_equal(of_all.get_ydata(), evidence["agreement"])
    np.testing.assert_array_equal(of_least.get_ydata(), evidence["least_agreement"])
    np.testing.assert_array_equal(modularity.get_ydata(), evidence["modularity"])
    assert set(chosen.get_xdata()) == {model.n_clusters_}


@pytest.mark.filterwarnings("ignore:The graph of")
@pytest.mark.parametrize("n_clusters", [1, 3, 40])
def test_dendrogram_is_cut_at_the_clusters(n_clusters, blobs):
    model = PathIntegralClustering(n_clusters).fit(blobs[0])
    display = drawn(DendrogramDisplay.from_estimator(model, n_leaves=12))
    cut = display.ax_.lines[-1].get_ydata()[0]
    n_above = np.sum(display.linkage[:, 2] > cut)
    assert n_above == n_clusters - 1


def test_displays_draw_on_given_axes(fitted, few_digits):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    display = EmbeddingDisplay.from_estimator(fitted, reducer="pca", ax=axes[0])
    assert (display.ax_, display.figure_) == (axes[0], figure)
    assert ClusterSizesDisplay.from_estimator(fitted, ax=axes[1]).ax_ is axes[1]
    figure = plt.figure()
    images = ClusterImagesDisplay.from_estimator(fitted, few_digits[0], figure=figure)
    assert images.figure_ is figure


def test_missing_matplotlib_is_one_clear_line(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="requires matplotlib"):
        EmbeddingDisplay.from_estimator(fitted)
    with pytest.raises(ImportError, match="requires matplotlib"):
        ClusterSizesDisplay([1], [1.0]).plot()


def test_reconstructions_are_drawn_below_their_images(fitted, few_digits, tmp_path):
    images, _ = few_digits
    display = drawn(ReconstructionDisplay.from_estimator(fitted, images, n_images=5))
    assert display.images.shape == display.reconstructions.shape == (5, 8, 8, 1)
    for image, reconstruction in zip(
        display.images, display.reconstructions, strict=True
    ):
        decoded = fitted.inverse_transform(fitted.transform(image[None, ..., 0]))
        np.testing.assert_allclose(reconstruction[..., 0], decoded[0], atol=1e-3)
    np.save(tmp_path / "images.npy", images)
    for X in (tmp_path / "images.npy", images.reshape(300, 64)):
        again = ReconstructionDisplay.from_estimator(fitted, X, n_images=5)
        np.testing.assert_array_equal(again.images, display.images)


def test_reconstructions_need_a_decoder_that_has_learned(few_digits):
    model = quick(10, reconstruction_weight=0.0).fit(few_digits[0])
    with pytest.raises(ValueError, match="reconstruction_weight above 0"):
        ReconstructionDisplay.from_estimator(model, few_digits[0])
    with pytest.raises(ValueError, match=r"shape \(2, 8, 8\) and reconstructions"):
        ReconstructionDisplay.from_predictions(np.zeros((2, 8, 8)), np.zeros((1, 8, 8)))
