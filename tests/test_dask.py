"""Searches on a dask cluster, as the example does them."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV

from .conftest import quick

pytest.importorskip("distributed")
EXAMPLE = Path(__file__).parents[1] / "examples" / "dask_search.py"


@pytest.mark.filterwarnings("ignore")  # of dask's own
def test_search_on_two_workers_is_the_search_here(few_digits):
    images, y = few_digits
    search = runpy.run_path(str(EXAMPLE))["search"]
    brief = {"fit_epochs": 10, "max_iter": 2}
    grid = {"n_clusters": [8, 10]}
    found = search(images, y, grid, **brief)
    expected = GridSearchCV(
        quick(10, **brief), grid, scoring=make_scorer(adjusted_rand_score), cv=2
    ).fit(images, y)
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"],
        atol=0.05,
    )
    assert found.best_estimator_.predict(images).shape == (300,)
