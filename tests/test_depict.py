"""DEPICTClustering as a scikit-learn estimator."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from torch import nn

from skdepict import DEPICTClustering, load
from skdepict._typicality import Typicality
from skdepict.benchmark.data import uneven_sample
from skdepict.networks import DenseAutoencoder

from .conftest import quick


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{getattr(check, 'func', check).__name__}-{number}")
        for number, (_, check) in enumerate(
            estimator_checks_generator(DEPICTClustering())
        )
    ],
)
@pytest.mark.filterwarnings("default")
def test_scikit_learns_checks_with_default_parameters(check):
    check(DEPICTClustering())


def test_same_random_state_gives_equal_results(few_digits):
    images, _ = few_digits
    first, second = (quick(10).fit(images) for _ in range(2))
    np.testing.assert_array_equal(first.labels_, second.labels_)
    np.testing.assert_array_equal(first.embedding_, second.embedding_)
    assert first.history_ == second.history_
    other = quick(10, random_state=1).fit(images)
    assert not np.array_equal(first.embedding_, other.embedding_)


def test_methods_on_training_data_equal_the_attributes(fitted, few_digits):
    images, _ = few_digits
    np.testing.assert_array_equal(fitted.predict(images), fitted.labels_)
    np.testing.assert_array_equal(fitted.transform(images), fitted.embedding_)
    for k, center in enumerate(fitted.cluster_centers_):
        members = fitted.embedding_[fitted.labels_ == k]
        np.testing.assert_allclose(center, members.mean(axis=0), rtol=1e-6, atol=1e-9)


def test_flat_rows_and_images_are_the_same(fitted, few_digits):
    images, _ = few_digits
    rows = images.reshape(300, 64)
    np.testing.assert_array_equal(fitted.predict(rows), fitted.labels_)
    flat = quick(10, image_shape=(8, 8)).fit(rows)
    np.testing.assert_array_equal(flat.labels_, fitted.labels_)


def test_probabilities_agree_with_labels_and_score(fitted, few_digits):
    images, _ = few_digits
    probabilities = fitted.predict_proba(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), fitted.labels_)
    expected = np.log(probabilities.max(axis=1)).mean()
    assert fitted.score(images) == pytest.approx(expected)


@pytest.mark.parametrize("network", ["conv", "dense"])
def test_a_row_does_not_depend_on_the_rows_beside_it(network, few_digits):
    images, _ = few_digits
    model = quick(10, network=network).fit(images)
    whole = model.transform(images)
    for rows in (slice(0, 1), slice(7, 8), slice(3, 40), slice(100, 299)):
        np.testing.assert_allclose(model.transform(images[rows]), whole[rows], 1e-7)


def test_predict_takes_more_rows_than_one_block(fitted, few_digits):
    images, _ = few_digits
    many = np.concatenate([images] * 30)
    np.testing.assert_array_equal(
        fitted.predict(many), np.concatenate([fitted.labels_] * 30)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float16, bool])
def test_dtypes_give_the_labels_that_float64_gives(dtype, few_digits):
    images = (few_digits[0] > 7).astype(np.float64)
    expected = quick(10).fit(images)
    model = quick(10).fit(images.astype(dtype))
    assert np.mean(model.labels_ == expected.labels_) > 0.99
    wide = dtype in (np.int64, np.float16, bool)
    assert model.embedding_.dtype == (np.float64 if wide else np.float32)


def test_memory_layout_does_not_matter_and_input_is_not_changed(few_digits):
    images = few_digits[0].copy()
    before = images.copy()
    images.flags.writeable = False
    expected = quick(10).fit(images).labels_
    np.testing.assert_array_equal(images, before)
    for X in (np.asfortranarray(images), np.repeat(images, 2, axis=2)[:, :, ::2]):
        np.testing.assert_array_equal(quick(10).fit(X).labels_, expected)
    np.testing.assert_array_equal(
        quick(10).fit(torch.from_numpy(before)).labels_, expected
    )


def test_colour_images_with_channels_first_and_last_are_the_same(few_digits):
    grey = few_digits[0][:100]
    colour = np.stack([grey, grey[:, ::-1], grey[:, :, ::-1]], axis=1)
    first = quick(5).fit(colour)
    last = quick(5).fit(np.moveaxis(colour, 1, -1))
    np.testing.assert_array_equal(first.labels_, last.labels_)
    decoded = last.inverse_transform(last.transform(np.moveaxis(colour, 1, -1)))
    assert decoded.shape == (100, 8, 8, 3)


def test_images_that_are_not_square(few_digits):
    wide = np.concatenate([few_digits[0], few_digits[0]], axis=2)[:100, :, :13]
    assert quick(5).fit(wide).embedding_.shape == (100, 64)


def test_sequence_network_separates_frequencies():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    phase = rng.uniform(0, 2 * np.pi, size=(90, 1))
    time = np.linspace(0, 2 * np.pi, 40)
    X = np.sin((2.0 + 4 * y[:, None]) * time + phase)
    model = quick(3, network="sequence", init=y, fit_epochs=60).fit(X)
    assert np.mean(model.labels_ == y) > 0.9


def test_inverse_transform_of_a_pretrained_model_resembles_the_images(few_digits):
    images, _ = few_digits
    model = quick(
        10, pretrain_epochs=60, reconstruction_weight=1.0, fit_epochs=0, max_iter=0
    ).fit(images)
    decoded = model.inverse_transform(model.transform(images))
    assert decoded.shape == images.shape
    from_mean = np.mean((images - images.mean(axis=0)) ** 2)
    assert np.mean((decoded - images) ** 2) < 0.6 * from_mean


def test_prototypes_are_the_decoded_centres(few_digits):
    images, y = few_digits
    model = quick(10, init=y, fit_epochs=60, max_iter=60).fit(images)
    prototypes = model.cluster_prototypes_
    assert prototypes.shape == (10, 8, 8)
    decoded = model.inverse_transform(model.cluster_centers_)
    np.testing.assert_array_equal(prototypes, decoded)
    means = np.array([images[model.labels_ == k].mean(axis=0) for k in range(10)])
    errors = np.square(prototypes[:, None] - means).mean(axis=(2, 3))
    # Each resembles its own cluster most.
    np.testing.assert_array_equal(errors.argmin(axis=1), range(10))


@pytest.mark.filterwarnings("ignore:Clusters")
def test_a_cluster_without_samples_has_no_prototype(few_digits):
    images, y = few_digits
    model = quick(3, init=y % 2, max_iter=0).fit(images)
    np.testing.assert_array_equal(np.unique(model.labels_), [0, 1])
    assert np.isnan(model.cluster_prototypes_[2]).all()
    assert not np.isnan(model.cluster_prototypes_[:2]).any()


def test_history_has_every_loss_term_and_falls(few_digits):
    model = quick(
        10,
        pretrain_epochs=8,
        fit_epochs=8,
        max_iter=4,
        reconstruction_weight=0.5,
    ).fit(few_digits[0])
    history = pd.DataFrame(model.history_)
    assert history.groupby("phase", sort=False).size().to_dict() == {
        "pretrain": 8,
        "initialise": 8,
        "joint": 4,
    }
    pretrain, initialise, joint = (
        history[history["phase"] == phase]
        for phase in ("pretrain", "initialise", "joint")
    )
    assert pretrain["reconstruction"].iloc[-1] < pretrain["reconstruction"].iloc[0]
    assert initialise["clustering"].iloc[-1] < initialise["clustering"].iloc[0]
    assert np.all(joint[["prior_divergence", "target_change"]] >= 0)
    assert np.all(joint["reconstruction"] > 0)
    assert model.n_iter_ == 4


def test_convergence_stops_the_joint_phase(few_digits):
    images, _ = few_digits
    # Not in the first quarter, while the learning rate climbs.
    model = quick(10, max_iter=8, tol=1.0).fit(images)
    assert (model.converged_, model.n_iter_) == (True, 3)
    model = quick(10, max_iter=2, tol=0.0).fit(images)
    assert (model.converged_, model.n_iter_) == (False, 2)


def test_prior_pulls_cluster_sizes_toward_it():
    """On data where half of the samples are of one class."""
    rng = np.random.default_rng(0)
    prior = np.array([0.5] + [0.1] * 5)
    y = rng.permutation(np.repeat(np.arange(6), (600 * prior).astype(int)))
    X = rng.normal(size=(6, 10))[y] + rng.normal(size=(600, 10))
    start = np.where(rng.random(600) < 0.3, rng.integers(0, 6, 600), y)

    def distance(**parameters):
        model = DEPICTClustering(
            6, init=start, fit_epochs=15, max_iter=40, random_state=0, **parameters
        ).fit(X)
        sizes = np.bincount(model.labels_, minlength=6) / 600
        return np.abs(sizes - prior).sum()

    assert distance(prior=prior) < 0.5 * distance(prior="uniform")
    assert distance(prior=prior) < 0.15
    # Which need not be known: the starting labels tell it.
    assert distance(prior=None) < 0.15


def test_largest_cluster_takes_the_largest_prior_frequency(blobs):
    X, y = blobs
    keep = np.concatenate([np.flatnonzero(y == 0)[:20], np.flatnonzero(y > 0)])
    prior = [0.4, 0.15, 0.45]
    model = quick(3, prior=prior, fit_epochs=20).fit(X[keep])
    sizes = np.bincount(model.labels_, minlength=3)
    assert sizes[1] == sizes.min()


def test_one_cluster_holds_everything(few_digits):
    model = quick(1).fit(few_digits[0])
    assert np.all(model.labels_ == 0)


def test_as_many_clusters_as_samples():
    X = np.random.default_rng(0).normal(size=(12, 5)) * 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = quick(12).fit(X)
    assert model.predict_proba(X).shape == (12, 12)


def test_duplicates_warn_of_the_empty_clusters():
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"have no samples: 2 of n_clusters=4"):
        model = quick(4, fit_epochs=100, max_iter=0).fit(X)
    assert len(np.unique(model.labels_)) == 2
    empty = np.bincount(model.labels_, minlength=4) == 0
    np.testing.assert_array_equal(np.isnan(model.cluster_centers_[:, 0]), empty)


def test_pickle_joblib_and_copies_predict_the_same(fitted, few_digits, tmp_path):
    images, _ = few_digits
    joblib.dump(fitted, tmp_path / "model.joblib")
    for other in (
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(fitted),
    ):
        np.testing.assert_array_equal(other.predict(images), fitted.labels_)


def test_clone_has_the_parameters_and_no_fit(fitted):
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    assert not hasattr(other, "network_")


def test_pandas_output_and_feature_names(blobs):
    frame = pd.DataFrame(blobs[0], columns=[f"x{i}" for i in range(10)])
    network = DenseAutoencoder((10,), embedding_dim=5)
    model = quick(3, network=network).set_output(transform="pandas")
    embedding = model.fit_transform(frame)
    names = [f"depictclustering{i}" for i in range(5)]
    assert list(embedding.columns) == names
    assert list(model.get_feature_names_out()) == names
    assert list(model.feature_names_in_) == list(frame.columns)
    assert list(model.transform(frame).columns) == names
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[frame.columns[::-1]])


def test_pipeline_grid_search_and_cross_validation(blobs):
    X, y = blobs
    pipeline = make_pipeline(StandardScaler(), quick(3))
    search = GridSearchCV(
        pipeline, {"depictclustering__n_neighbors": [0, 5]}, cv=2, n_jobs=2
    ).fit(X, np.array(["a", "b", "c"])[y])
    assert search.predict(X).shape == (200,)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    scores = cross_val_score(quick(3), X, y, cv=2, scoring="adjusted_rand_score")
    assert scores.shape == (2,)


def test_column_transformer_feeds_the_estimator(blobs):
    frame = pd.DataFrame(blobs[0]).rename(columns=str)
    columns = ColumnTransformer([("scale", StandardScaler(), list("0123"))])
    labels = make_pipeline(columns, quick(3)).fit_predict(frame)
    assert labels.shape == (200,)


def test_text_goes_through_truncated_svd():
    texts = [f"{a} {a} {b}" for a in ("cat dog", "sun moon") for b in "abcdefghij"]
    model = make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), TruncatedSVD(4))
    labels = make_pipeline(model, quick(2, fit_epochs=40)).fit_predict(texts)
    assert len(set(labels[:10])) == len(set(labels[10:])) == 1


def test_users_default_dtype_and_no_grad_do_no_harm(few_digits, fitted):
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            labels = quick(10).fit(few_digits[0]).labels_
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(labels, fitted.labels_)


def test_verbose_prints_each_epoch_and_nothing_is_printed_otherwise(blobs, capsys):
    quick(3).fit(blobs[0])
    assert capsys.readouterr().out == ""
    quick(3, verbose=1).fit(blobs[0])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert all("phase" in line and "loss" in line for line in lines)


def uneven_digits(digits):
    """710 digits, ten times as many of one kind as of another."""
    return uneven_sample(*digits, ratio=10, draw=2)


def test_clusters_may_be_of_any_size(digits):
    images, y = uneven_digits(digits)
    kmeans = KMeans(10, n_init=10, random_state=0).fit_predict(images.reshape(710, 64))
    model = DEPICTClustering(10, random_state=0).fit(images)
    expected = adjusted_rand_score(y, kmeans) + 0.15
    assert adjusted_rand_score(y, model.labels_) > expected
    assert model.prior_.sum() == pytest.approx(1.0)
    assert model.prior_.max() > 3 * model.prior_.min()
    assert model.n_rounds_ == model.best_round_ == 2
    np.testing.assert_array_equal(model.predict(images), model.labels_)


def test_number_of_clusters_is_found_whatever_their_sizes(digits):
    images, _ = uneven_digits(digits)
    models = [DEPICTClustering("auto", random_state=seed) for seed in range(3)]
    # There are but 17 and 22 images of the rarest kinds, and single fits find 7 to 10.
    assert 8 <= np.median([model.fit(images).n_clusters_ for model in models]) <= 12


def test_losses_are_those_of_batches_whatever_number_of_them_is_reconstructed(digits):
    """Every eighth is: some epochs of 15 batches have two of them, others one."""
    images, _ = digits
    history = quick(10, fit_epochs=24, max_iter=1).fit(images[:900]).history_
    losses = [record["reconstruction"] for record in history[8:24]]
    assert np.max(losses) < 1.5 * np.median(losses)


def test_several_fits_vote_on_what_the_model_learns(few_digits, tmp_path):
    images, _ = few_digits
    model = quick(5, n_init=3).fit(images)
    again = clone(model).fit(images)
    np.testing.assert_array_equal(model.embedding_, again.embedding_)
    np.testing.assert_array_equal(model.predict(images), model.labels_)
    # Nothing is left of how it was done in the parameters, nor in what comes after.
    assert (model.init, model.random_state, model.n_init) == ("path-integral", 0, 3)
    assert {record["round"] for record in model.history_} == {1}
    with pytest.raises(ValueError, match="n_init=1"):
        model.cut(6)
    # Most of three fits are two or three of them, where the network keeps the votes.
    shares = model.vote_shares_
    assert set(shares.round(6)) <= {0, 0.333333, 0.666667, 1}
    assert shares.mean() > 0.7
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").vote_shares_, shares)
    single = quick(5).fit(images)
    np.testing.assert_array_equal(
        model.set_params(n_init=1).fit(images).labels_, single.labels_
    )
    assert not hasattr(model, "vote_shares_")


def test_an_interrupt_before_there_are_votes_keeps_an_earlier_fit(blobs):
    X, _ = blobs
    model = quick(3).fit(X)
    labels = model.labels_
    model.set_params(n_init=2, init=Interrupted())
    with pytest.raises(KeyboardInterrupt, match="Fit 1 of 2 was interrupted"):
        model.fit(X)
    assert model.labels_ is labels


@pytest.mark.parametrize(
    ("folder", "message"),
    [(None, r"before it had a result\.$"), ("kept", "from its last checkpoint")],
)
def test_an_interrupt_before_there_is_a_result_says_so(
    blobs, tmp_path, folder, message
):
    model = quick(3, init=Interrupted(), checkpoint_dir=folder and tmp_path / folder)
    with pytest.raises(KeyboardInterrupt, match=message):
        model.fit(blobs[0])
    assert not hasattr(model, "labels_")


class Interrupted(KMeans):
    """Whose user has no patience."""

    def fit_predict(self, X, y=None, sample_weight=None):
        raise KeyboardInterrupt


def test_prior_is_what_was_given_or_uniform(few_digits, blobs):
    (images, _), (X, y) = few_digits, blobs
    prior = np.repeat([0.12, 0.08], 5)
    np.testing.assert_allclose(quick(10, prior=prior).fit(images).prior_, prior)
    np.testing.assert_allclose(quick(10, prior="uniform").fit(images).prior_, 0.1)
    model = quick(2, init=(y == 0).astype(int), prior=None).fit(X)
    assert model.prior_[0] > 0.6
    assert model.n_rounds_ == 1
    with pytest.raises(ValueError, match=r"'prior' parameter .*'uniform'"):
        quick(10, prior="even").fit(images)


def test_cuts_of_the_tree_of_joins_are_nested(few_digits):
    images, _ = few_digits
    model = quick(5, prior=None).fit(images)
    n_leaves = len(model.linkage_) + 1
    assert n_leaves > 5
    np.testing.assert_array_equal(model.cut(5), model.labels_)
    assert model.cut(1).max() == 0
    for number in range(1, n_leaves):
        finer, coarser = model.cut(number + 1), model.cut(number)
        assert len(set(zip(finer, coarser, strict=True))) <= number + 1
        assert np.all(np.diff(np.bincount(finer)) <= 0)
    for wrong in (0, n_leaves + 1, 2.5, True, "3"):
        with pytest.raises(ValueError, match=f"1 to the {n_leaves} leaves"):
            model.cut(wrong)


def test_clusters_that_were_found_at_once_can_be_joined(fitted):
    assert len(fitted.linkage_) == fitted.n_clusters_ - 1
    np.testing.assert_array_equal(fitted.groups_, fitted.labels_)
    assert len(np.unique(fitted.cut(4))) == 4


def test_images_of_something_else_are_less_typical(few_digits):
    images, _ = few_digits
    model = quick(10).fit(images)
    typical = model.score_samples(images)
    assert typical.shape == (300,)
    others = [16 - images, images[:, ::-1], np.random.default_rng(0).permuted(images)]
    for other in others:
        scores = np.concatenate([typical, model.score_samples(other)])
        assert roc_auc_score(np.repeat([1, 0], 300), scores) > 0.75
    # Each by itself.
    np.testing.assert_allclose(model.score_samples(images[7:8]), typical[7:8])


def test_what_belongs_nowhere_is_untypical_even_as_a_cluster():
    """As a network may see it: as tight as others, but small."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), (700, 900, 800, 100))
    centers = np.vstack([np.eye(4, 8), np.full(8, np.nan)])
    embedding = centers[labels] + 0.05 * rng.normal(size=(2500, 8))
    typicality = Typicality(embedding, labels, centers)
    scores = typicality(embedding)
    assert roc_auc_score(labels < 3, scores) > 0.95
    # What is between the clusters is near to most samples, but close to none.
    between = embedding[labels < 3].mean(axis=0) + 0.02 * rng.normal(size=(100, 8))
    assert typicality(between).max() < scores.min()


def standardised(of_fit, there):
    middle, quartile = np.median(of_fit), np.quantile(of_fit, 0.25)
    return (there - middle) / (middle - quartile)


@pytest.mark.parametrize("has_rows", [False, True])
def test_typicality_is_the_lowest_of_its_logarithms(has_rows):
    rng = np.random.default_rng(0)
    embedding, points = rng.normal(size=(2, 60, 3))
    labels = np.repeat([0, 1], 30)
    centers = np.array([embedding[:30].mean(axis=0), embedding[30:].mean(axis=0)])
    width = np.square(embedding - centers[labels]).sum(axis=1).mean() + 3e-4
    logarithms = []
    for squared in (width, width / 4):
        distances = cdist(np.concatenate([embedding, points]), embedding)
        kernels = np.exp(distances**2 / (-2 * squared))
        own = kernels[:60].copy()
        np.fill_diagonal(own, 0)
        logarithms.append((np.log(own.sum(axis=1)), np.log(kernels.sum(axis=1))))
    rows, new_rows = rng.normal(size=(2, 60, 9)) if has_rows else (None, None)
    if has_rows:
        squares = cdist(np.concatenate([rows, new_rows]), rows) ** 2
        # Of a sample of the fit the first one is the sample itself.
        distant = -np.log(np.sort(squares, axis=1) + 9e-4)
        logarithms.append((distant[:60, 10], distant[:, 9]))
    lowest = np.min([standardised(*pair) for pair in logarithms], axis=0)
    expected = standardised(lowest[:60], lowest)
    typicality = Typicality(embedding, labels, centers, rows)
    np.testing.assert_allclose(typicality.of_fit, expected[:60])
    if has_rows:
        points = np.concatenate([points, new_rows], axis=1)
    np.testing.assert_allclose(typicality(points), expected[60:])
    assert np.median(typicality.of_fit) == pytest.approx(0)
    assert np.quantile(typicality.of_fit, 0.25) == pytest.approx(-1)


def test_huge_rows_have_finite_scores():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = quick(2).fit(X)
    with pytest.warns(UserWarning, match="X has values"):
        scores = model.score_samples(np.concatenate([X[:2], X[:1] * 1e20]))
    assert np.isfinite(scores).all()
    assert scores[2] < scores[:2].min()


def test_a_pickle_without_components_is_scored():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = quick(2).fit(X)
    del model._components
    assert np.isfinite(model.score_samples(X)).all()


def test_own_network_that_sees_components_is_fitted_scored_and_saved(
    few_digits, tmp_path
):
    class Within(nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.inner = DenseAutoencoder(shape, 16, n_components=10)
            with torch.no_grad():
                self.inner.encoder[0][-3].axes.normal_()

        def encode(self, x, corrupt):
            return self.inner.encode(x, corrupt)

        def decode(self, embedding):
            return self.inner.decode(embedding)

    images, _ = few_digits
    for X, shape in ((images, (1, 8, 8)), (images.reshape(300, 64), (64,))):
        model = quick(4, network=Within(shape)).fit(X)
        assert model._components is None
        scores = model.score_samples(X)
        model.save(tmp_path / "model")
        loaded = load(tmp_path / "model", network=Within(shape))
        np.testing.assert_array_equal(loaded.score_samples(X), scores)


def test_typicality_of_copies_does_not_hang_on_rounding():
    kinds = np.random.default_rng(0).normal(size=(4, 6))
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(4), 100))
    for rows in (None, kinds[labels]):
        typicality = Typicality(kinds[labels], labels, kinds, rows)
        points = np.concatenate([kinds, kinds + 0.1])
        scores = typicality(points if rows is None else np.tile(points, 2))
        assert np.all(np.abs(scores[:4]) < 1)
        assert np.all(np.abs(scores[4:]) < 1e3)
        assert scores[4:].max() < scores[:4].min()


@pytest.mark.parametrize("n_samples", [1, 2, 40])
def test_typicality_of_equal_samples_falls_with_the_distance(n_samples):
    embedding = np.zeros((n_samples, 2), dtype=np.float32)
    points = np.array([[0, 0], [0.1, 0], [0.5, 0.5]])
    for rows in (None, embedding):
        labels = np.zeros(n_samples, dtype=int)
        typicality = Typicality(embedding, labels, np.zeros((1, 2)), rows)
        scores = typicality(points if rows is None else np.tile(points, 2))
        assert scores[0] >= 0
        assert np.all(np.diff(scores) < 0)
