"""WhitenedComponents."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdepict import WhitenedComponents
from skdepict._path_integral.components import principal_axes


@parametrize_with_checks([WhitenedComponents(), WhitenedComponents(3, whitening=1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def X():
    """2,000 samples of 20 features of very different spread."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(2000, 20)) * np.logspace(0, 2, 20) + 5


def test_rows_have_unit_length_and_whitening_equals_the_spread(X):
    full = WhitenedComponents(10, whitening=1).fit_transform(X)
    np.testing.assert_allclose(np.linalg.norm(full, axis=1), 1.0)
    np.testing.assert_allclose(full.std(axis=0), 1 / np.sqrt(10), rtol=0.1)
    half = WhitenedComponents(10, whitening=0.5).fit_transform(X)
    assert half.std(axis=0)[0] > 1.5 * half.std(axis=0)[-1]


@pytest.mark.parametrize(("whitening", "whiten"), [(0, False), (1, True)])
def test_the_ends_of_whitening_are_those_of_pca(whitening, whiten, X):
    model = WhitenedComponents(10, whitening=whitening, unit_length=False)
    expected = PCA(10, whiten=whiten, svd_solver="full").fit_transform(X)
    np.testing.assert_allclose(np.abs(model.fit_transform(X)), np.abs(expected))


def test_few_components_keep_their_length_by_default():
    X = np.random.default_rng(0).normal(size=(100, 7))
    assert np.linalg.norm(WhitenedComponents().fit_transform(X), axis=1).std() > 0.1
    unit = WhitenedComponents(unit_length=True).fit_transform(X)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0)


def test_constant_columns_take_no_part():
    X = np.random.default_rng(0).normal(size=(100, 9))
    wide = np.column_stack([X, np.full((100, 5), 3.0)])
    model = WhitenedComponents().fit(wide)
    assert model.n_components_ == 9
    np.testing.assert_allclose(
        np.abs(model.transform(wide)),
        np.abs(WhitenedComponents().fit_transform(X)),
        atol=1e-8,
    )


def test_data_that_does_not_vary_gives_zeros():
    X = np.full((10, 3), 7.0)
    np.testing.assert_array_equal(WhitenedComponents().fit_transform(X), 0)


def test_components_do_not_depend_on_the_solver(X):
    centered = X - X.mean(axis=0)
    axes, deviations = principal_axes(centered, 5)
    iterative, their_deviations = principal_axes(centered, 5, max_dense_side=10)
    np.testing.assert_allclose(np.abs(iterative), np.abs(axes), atol=1e-8)
    np.testing.assert_allclose(their_deviations, deviations)


def test_far_away_data_lose_no_digits():
    X = np.random.default_rng(0).normal(size=(200, 9))
    np.testing.assert_allclose(
        np.abs(WhitenedComponents().fit_transform(X + 1e8)),
        np.abs(WhitenedComponents().fit_transform(X)),
        atol=1e-5,
    )


def test_sparse_data_are_not_centred_unless_they_are_narrow():
    X = sparse.random_array((200, 80), density=0.1, rng=0, format="csr")
    model = WhitenedComponents(10).fit(X)
    np.testing.assert_array_equal(model.mean_, 0)
    np.testing.assert_allclose(model.transform(X), model.transform(X.toarray()))
    narrow = WhitenedComponents(10).fit(X[:, :10])
    dense = WhitenedComponents(10).fit(X[:, :10].toarray())
    np.testing.assert_allclose(narrow.transform(X[:, :10]), dense.transform(X[:, :10]))


def test_names_and_precision_are_kept(X):
    model = WhitenedComponents(3).fit(X.astype(np.float32))
    assert model.transform(X.astype(np.float32)).dtype == np.float32
    assert list(model.get_feature_names_out()) == [
        "whitenedcomponents0",
        "whitenedcomponents1",
        "whitenedcomponents2",
    ]
    assert WhitenedComponents(3).fit_transform(X.astype(np.uint8)).dtype == np.float32
