"""Data of every odd kind: a right result or a clear error, never anything between."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skdepict import PathIntegralClustering
from skdepict._data.checks import in_words

from .conftest import quick

DTYPES = (np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, bool)
LAYOUTS = {
    "in C's order": np.ascontiguousarray,
    "in Fortran's order": np.asfortranarray,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "transposed": lambda X: np.ascontiguousarray(np.moveaxis(X, 0, -1)).transpose(
        X.ndim - 1, *range(X.ndim - 1)
    ),
    "read-only": lambda X: read_only(X),
    "of the other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
}
SCALES = (1.0, 1.0, 1e-12, 1e-300, 1e12)
OFFSETS = (0.0, 0.0, 1e8, -1e8)


def read_only(X):
    """A copy that may not be written to."""
    X = X.copy()
    X.flags.writeable = False
    return X


@st.composite
def samples(draw):
    """Tables and images: of any shape, type, scale and layout, with duplicates."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_samples = draw(st.integers(2, 40))
    shape = draw(st.sampled_from([(1,), (3,), (16,), (8, 8), (9, 12), (3, 8, 8)]))
    n_groups = draw(st.integers(1, 4))
    groups = rng.normal(size=(n_groups, *shape)) * 5
    X = groups[rng.integers(0, n_groups, n_samples)]
    X = X + draw(st.sampled_from([0.0, 0.1, 1.0])) * rng.normal(size=X.shape)
    if draw(st.booleans()):
        X[:, rng.integers(0, shape[0])] = 7.0
    n_copies = draw(st.sampled_from([0, 0, n_samples // 2, n_samples - 1]))
    X[:n_copies] = X[n_copies]
    X = X * draw(st.sampled_from(SCALES)) + draw(st.sampled_from(OFFSETS))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        X = np.clip(X, float(info.min), float(info.max) / 2)
    elif dtype.kind == "f":
        X = np.clip(X, float(np.finfo(dtype).min), float(np.finfo(dtype).max))
    return LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))](X.astype(dtype))


def test_degenerate_data_are_clustered_or_refused(n_of):
    """Both estimators, every way to ask them."""
    outcomes = {"clustered": 0, "refused": 0, "collapsed": 0}
    n_examples = n_of(30, 1000)

    @settings(max_examples=n_examples)
    @given(X=samples(), data=st.data())
    def check(X, data):
        n_clusters = data.draw(st.integers(1, len(X)))
        parameters = data.draw(
            st.fixed_dictionaries(
                {
                    "batch_size": st.sampled_from([1, 7, 1000]),
                    "init": st.sampled_from(["path-integral", "kmeans"]),
                    "fit_epochs": st.just(2),
                }
            )
        )
        before = X.copy()
        error = None
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                model = quick(n_clusters, **parameters).fit(X)
            except (ValueError, FloatingPointError) as refusal:
                error = str(refusal)
        values = X.astype(np.float64)
        if error is not None and "collapsed to one point" in error:
            # They are one group, and differ less than each has differences within.
            assert values.std(axis=0).max() < 0.5 * values.std()
            outcomes["collapsed"] += 1
            return
        if error is not None:
            assert "All samples in X are equal" in error
            # Equal to the precision that the data are held in.
            assert np.ptp(values, axis=0).max() <= 1e-6 * np.abs(values).max()
            outcomes["refused"] += 1
            return
        outcomes["clustered"] += 1
        np.testing.assert_array_equal(X, before)
        sizes = np.bincount(model.labels_, minlength=n_clusters)
        assert len(sizes) == n_clusters
        empty = np.flatnonzero(sizes == 0)
        named = [
            str(warning.message)
            for warning in seen
            if issubclass(warning.category, ConvergenceWarning)
        ]
        warned = f"Clusters [{in_words(empty.tolist())}] have no samples"
        assert bool(len(empty)) == any(warned in text for text in named)
        np.testing.assert_array_equal(model.predict(X), model.labels_)
        for values in (model.transform(X), model.predict_proba(X)):
            assert np.isfinite(values).all()
        assert np.isfinite(model.inverse_transform(model.transform(X))).all()
        assert np.isfinite(model.score(X))
        one = model.predict(X[-1:])
        np.testing.assert_array_equal(one, model.labels_[-1:])

    check()
    print(outcomes)
    # The check that both kinds of data were among them.
    assert min(outcomes["clustered"], outcomes["refused"]) > 0
    assert outcomes["collapsed"] <= 0.02 * n_examples


def test_degenerate_data_have_a_merge_tree(n_of):
    @settings(max_examples=n_of(100, 5000))
    @given(X=samples(), data=st.data())
    def check(X, data):
        X = X.reshape(len(X), -1)
        n_clusters = data.draw(st.integers(1, len(X)))
        before = X.copy()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The graph of")
            model = PathIntegralClustering(n_clusters).fit(X)
        np.testing.assert_array_equal(X, before)
        assert len(np.unique(model.labels_)) == n_clusters
        np.testing.assert_array_equal(model.cut(n_clusters), model.labels_)

    check()


GROUPS = np.arange(120) % 3
BLOBS = np.random.default_rng(0).normal(size=(120, 6)) + 9 * np.eye(6)[GROUPS]
VARIANTS = {
    "as they are": lambda X: X,
    "far away": lambda X: X + 1e8,
    "tiny": lambda X: X * 1e-12,
    "tiny and far from it": lambda X: X * 1e-12 + 1e-6,
    "large": lambda X: X * 1e100,
    "half precision": lambda X: X.astype(np.float16),
    "whole numbers": lambda X: (X * 100).astype(np.int64),
    "a constant feature": lambda X: np.column_stack([X, np.full(len(X), 5.0)]),
    "a huge constant feature": lambda X: np.column_stack([X, np.full(len(X), 1e9)]),
    "everything twice": lambda X: np.repeat(X, 2, axis=1),
    **LAYOUTS,
}


@pytest.mark.parametrize("estimator", ["depict", "path-integral"])
@pytest.mark.parametrize("name", VARIANTS)
def test_plain_groups_are_found_in_whatever_form(name, estimator):
    X = VARIANTS[name](BLOBS)
    model = quick(3) if estimator == "depict" else PathIntegralClustering(3)
    assert adjusted_rand_score(GROUPS, model.fit_predict(X)) == 1.0


@pytest.mark.parametrize("batch_size", [1, 119, 120, 121, 10**6])
def test_batches_of_any_size(batch_size):
    """Among them a last batch of one, and one that holds everything."""
    labels = quick(3, batch_size=batch_size).fit_predict(BLOBS)
    assert adjusted_rand_score(GROUPS, labels) == 1.0


def test_a_memory_map_is_read_only_data(tmp_path):
    np.save(tmp_path / "X.npy", BLOBS)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    for model in (quick(3), PathIntegralClustering(3)):
        assert adjusted_rand_score(GROUPS, model.fit_predict(X)) == 1.0
