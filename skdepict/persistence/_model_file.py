"""Fitted models as files that run no code when they are opened.

A file is in the safetensors format: named arrays of numbers, and a header of JSON. In
its metadata, under "skdepict", is a JSON text with everything that is no array. Nothing
in it is pickled, so an untrusted file can be opened.
"""

import json
import math
import os
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save as to_bytes
from scipy.cluster.hierarchy import is_valid_linkage
from sklearn.utils.validation import check_is_fitted

from skdepict._data.layout import Layout
from skdepict._data.paths import as_path, check_file
from skdepict._data.rows import reference_samples
from skdepict._data.samples import InputFormat
from skdepict._data.scaling import Scaling
from skdepict._surroundings import warn
from skdepict.networks._build import (
    choose_network,
    construct,
    copy_of_module,
    order_in_memory,
)
from skdepict.networks._model import ClusteringModel
from skdepict.persistence._files import parse_json, write_whole
from skdepict.persistence._identity import OF_THE_MACHINE

VERSION = 8
# In the file, where the network sees components.
AXES = "autoencoder.encoder.0.0.axes"
# Parameters of files before version 8; how a model predicts does not depend on them.
FORMER = {"target", "schedule", "average_decay", "early_stopping", "tol"}
FORMER |= {"affine_noise", "elastic_noise"}
FORMER |= {"embedding_dim", "pretrain_epochs", "dropout"}
# What it sees of some samples; files of before have none.
COMPONENTS = "components"
RANGE = ("shift", "low", "high")
ARRAYS = ("labels_", "embedding_", "cluster_centers_")
# Files before version 4 have no joins of clusters.
OF_JOINS = ("linkage_", "groups_")
VOTES = "vote_shares_"
EVIDENCE = ("n_clusters", "agreement", "least_agreement")
VALUES = (
    *("n_clusters_", "n_iter_", "n_rounds_", "best_round_", "converged_"),
    "history_",
)
MAX_DIMENSION = 2**31


class ModelFileError(ValueError):
    """A file is no model of this package, is damaged, or is of a newer release."""


def save(model, path):
    """Write a fitted model to one file.

    The file is complete or it is not there: it is written beside its place and moved
    there at the end.

    Parameters
    ----------
    model : DEPICTClustering
        Fitted, with one of the built-in networks or a module of your own.
    path : str or Path
        The file; replaced if it is there.

    Raises
    ------
    NotFittedError
        If the model has not been fitted.
    ValueError
        If `history_` is longer than `load` would parse, after some 30,000 epochs.

    Warns
    -----
    UserWarning
        If a parameter is an object that the file cannot hold, such as a clusterer given
        as `init`. The model predicts without it; a new fit would take the default.
    """
    check_is_fitted(model)
    path = as_path(path)
    parameters, arrays = _parameters_of(model, path)
    values = {name: getattr(model, name) for name in VALUES}
    # What set_output said, which scikit-learn keeps there.
    if output := getattr(model, "_sklearn_output_config", None):
        values["output"] = output
    if hasattr(model, "feature_names_in_"):
        values["feature_names_in_"] = model.feature_names_in_.tolist()
    input_format = model._input_format
    layout, scaling = input_format.layout, input_format.scaling
    content = {
        "version": VERSION,
        "parameters": parameters,
        "values": values,
        "sample_shape": input_format.sample_shape,
        "network_shape": input_format.network_shape,
        "rounds": bool(input_format.rounds),
        "layout": [layout.kind, layout.shape, layout.channels_last],
        "scale": scaling.scale,
        "clips": scaling.clips,
        "narrowest": scaling.narrowest,
        "embedding_dim": model.network_.assignment.in_features,
    }
    arrays |= {name: getattr(model, name) for name in ARRAYS}
    arrays |= {name: np.asarray(getattr(scaling, name), float) for name in RANGE}
    arrays["prior_"] = model.prior_
    # A model of an earlier file has none of these.
    optional = (*OF_JOINS, VOTES)
    arrays |= {name: vars(model)[name] for name in optional if hasattr(model, name)}
    # Of a pickle of before, too.
    if getattr(model, "_components", None) is not None:
        arrays[COMPONENTS] = model._components
    found = getattr(model, "number_evidence_", {})
    arrays |= {f"evidence {name}": array for name, array in found.items()}
    for name, tensor in model.network_.state_dict().items():
        arrays[f"network {name}"] = tensor.numpy(force=True)
    arrays = {name: np.require(a, requirements="C") for name, a in arrays.items()}
    text = json.dumps(content, default=np.generic.item)
    parse_json(text, arrays["shift"].size)  # What could not be opened is not written.
    write_whole(path, to_bytes(arrays, metadata={"skdepict": text}))


def _parameters_of(model, path):
    """The parameters that a file can hold: values, and arrays by their names in it."""
    values: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in model.get_params(deep=False).items():
        if name in OF_THE_MACHINE:
            continue
        is_array = hasattr(value, "__array__") or isinstance(value, (list, tuple))
        if name in ("init", "prior") and is_array:
            value = np.asarray(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
            arrays[f"parameter {name}"] = value
        elif name == "network" and not isinstance(value, str):
            values[name] = None
        elif _is_plain(value):
            values[name] = value
        else:
            warn(
                f"{name}={value!r} is an object that {path} cannot hold. The model "
                "will predict as it does, but a new fit of what is loaded would take "
                f"the default {name}.",
            )
    return values, arrays


def read_model(path, network, estimator_class):
    """Open what `save` has written; see `skdepict.load`.

    Parameters
    ----------
    path : str or Path
    network : torch.nn.Module or None
    estimator_class : type
        `DEPICTClustering`.

    Returns
    -------
    model : DEPICTClustering
    """
    if isinstance(network, type):
        raise TypeError(
            f"network={network.__name__} is a class. Pass an instance of it: "
            f"network={network.__name__}()."
        )
    path = check_file(path)
    with path.open("rb"):
        pass  # What cannot be read is no damaged file.
    try:
        content, arrays = _read(path)
        return _restore(content, arrays, network, estimator_class)
    except (ModelFileError, MemoryError, OSError):
        raise
    except Exception as error:
        raise ModelFileError(
            f"{os.fspath(path)} is damaged, or no file that DEPICTClustering.save has "
            f"written ({type(error).__name__}: {error})."
        ) from error


def _read(path):
    with safe_open(os.fspath(path), framework="numpy") as file:
        metadata = file.metadata() or {}
        n_features = math.prod(file.get_slice("shift").get_shape())
        content = parse_json(metadata["skdepict"], n_features)
        version = content["version"]
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"version {version!r}")
        if version > VERSION:
            raise ModelFileError(
                f"{os.fspath(path)} has version {version} of the format; this release "
                f"of skdepict reads up to version {VERSION}. Install a newer release."
            )
        names = file.keys()
        return content, {name: file.get_tensor(name) for name in names}


def _restore(content, arrays, network, estimator_class):
    model = estimator_class(**_restore_parameters(content, arrays, network))
    model._validate_params()
    model._input_format = _restore_input_format(content, arrays)
    _restore_attributes(model, content, arrays)
    model.network_ = _restore_network(model, content["embedding_dim"], arrays)
    _restore_components(model, arrays)
    return model


def _restore_parameters(content, arrays, network):
    parameters = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in content["parameters"].items()
        # Of earlier releases: a fit would write where an untrusted file says.
        if name not in OF_THE_MACHINE
        and not (content["version"] < 8 and name in FORMER)
    }
    named = parameters.get("network", "auto")
    if not isinstance(named, (str, type(None))):
        raise ValueError(f"network {named!r}")
    of_images = content["layout"][0] == "image"
    if content["version"] < 7 and of_images and named in ("auto", "conv"):
        named = "published_conv"
    if named is None and network is None:
        raise ModelFileError(
            "The model was fitted with a module of its own as network. Pass that "
            "module: load(path, network=MyNetwork())."
        )
    if named is not None and network is not None:
        raise ModelFileError(
            f"The model was fitted with network={named!r}, not with a module. Leave "
            "out the argument network."
        )
    parameters["network"] = network if named is None else named
    for name in ("init", "prior"):
        if f"parameter {name}" in arrays:
            parameters[name] = arrays[f"parameter {name}"]
    return parameters


def _restore_input_format(content, arrays):
    kind, shape, channels_last = content["layout"]
    if kind not in ("table", "image", "series"):
        raise ValueError(f"layout {kind!r}")
    layout = Layout(kind, _shape(shape), bool(channels_last))
    sample_shape = _shape(content["sample_shape"])
    if layout.n_features != math.prod(sample_shape):
        raise ValueError("the shapes of samples disagree")
    if content["version"] == 1:
        infinite = np.full(arrays["shift"].shape, np.inf)
        arrays = arrays | {"low": -infinite, "high": infinite}
    shift, low, high = (
        arrays[name].reshape(layout.n_features)
        if kind == "table"
        else arrays[name].reshape(()).item()
        for name in RANGE
    )
    scale, clips = float(content["scale"]), bool(content.get("clips", False))
    ordered = np.all(np.less_equal(low, high)) and np.all(np.isfinite(shift))
    if not (np.isfinite(scale) and scale > 0 and ordered):
        raise ValueError("the scaling is no scaling")
    network_shape = _shape(content.get("network_shape", layout.shape))
    whole = (network_shape[0], len(network_shape)) == (
        layout.shape[0],
        len(layout.shape),
    )
    whole &= kind == "image" or network_shape == layout.shape
    if not whole or np.greater(network_shape, layout.shape).any():
        raise ValueError("the network sees other samples")
    narrowest = 0.0
    if kind == "image" and np.isfinite(high - low):
        # Of an earlier file: so that half of it is a fiftieth of the range.
        narrowest = float(content.get("narrowest", (high - low) / 25))
    scaling = Scaling(shift, scale, low, high, clips, narrowest=narrowest)
    rounds = bool(content.get("rounds", False))
    return InputFormat(sample_shape, layout, scaling, network_shape, rounds)


def _restore_attributes(model, content, arrays):
    values = content["values"]
    if output := values.get("output"):
        model.set_output(transform=output.get("transform"))
    names = values.get("feature_names_in_")
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    for name in VALUES:
        setattr(model, name, values[name])
    for name in ARRAYS:
        setattr(model, name, arrays[name])
    _restore_prior(model, content, arrays)
    _restore_joins(model, arrays)
    model.n_features_in_ = model._input_format.layout.n_features
    n_samples, embedding_dim = model.embedding_.shape
    if embedding_dim != content["embedding_dim"] or model.labels_.shape != (n_samples,):
        raise ValueError("the shapes of labels_ and embedding_ disagree")
    if VOTES in arrays:
        model.vote_shares_ = arrays[VOTES]
        if model.vote_shares_.shape != (n_samples,):
            raise ValueError("the shapes of labels_ and vote_shares_ disagree")
    if not all(isinstance(record, dict) for record in model.history_):
        raise ValueError("history_ is no list of epochs")


def _restore_joins(model, arrays):
    if not any(name in arrays for name in OF_JOINS):
        return
    for name in OF_JOINS:
        setattr(model, name, arrays[name])
    model.number_evidence_ = {name: arrays[f"evidence {name}"] for name in EVIDENCE}
    # Which earlier programs did not know of.
    if "evidence modularity" in arrays:
        model.number_evidence_["modularity"] = arrays["evidence modularity"]
    n_leaves = len(model.linkage_) + 1
    if (
        model.linkage_.shape != (n_leaves - 1, 4)
        or (n_leaves > 1 and not is_valid_linkage(model.linkage_))
        or model.groups_.shape != model.labels_.shape
        or model.groups_.dtype.kind != "i"
        or not 0 <= model.groups_.min() <= model.groups_.max() < n_leaves
        or any(array.ndim != 1 for array in model.number_evidence_.values())
    ):
        raise ValueError("the joins of clusters are none")


def _restore_components(model, arrays):
    model._components = found = arrays.get(COMPONENTS)
    if found is None:
        return
    n_components = arrays[f"network {AXES}"].shape[1]
    if found.shape != (len(reference_samples(len(model.labels_))), n_components):
        raise ValueError("the shapes of labels_ and components disagree")


def _restore_prior(model, content, arrays):
    if content["version"] >= 4:
        prior = arrays["prior_"]
    else:
        prior = model.prior
        if prior is None:
            prior = np.full(model.n_clusters_, 1 / model.n_clusters_)
    model.prior_ = np.asarray(prior, dtype=np.float64)
    if model.prior_.shape != (model.n_clusters_,) or not (model.prior_ > 0).all():
        raise ValueError("prior_ is no prior")


def _restore_network(model, embedding_dim, arrays):
    layout = model._input_format.network_layout
    network = choose_network(model.network, layout, model.algorithm)
    embedding_dim, n_clusters = _shape([embedding_dim, model.n_clusters_])
    state = {
        name.removeprefix("network "): torch.from_numpy(array)
        for name, array in arrays.items()
        if name.startswith("network ")
    }
    if state["assignment.weight"].shape != (n_clusters, embedding_dim):
        raise ValueError("the shapes of the softmax layer disagree")
    if not isinstance(network, str):
        restored = ClusteringModel(copy_of_module(network), embedding_dim, n_clusters)
        try:
            restored.load_state_dict(state)
        except RuntimeError as error:
            raise ModelFileError(
                f"The network that was passed, a {type(network).__name__}, has other "
                "weights than the one that the model was fitted with. Pass a module of "
                f"the same class, made with the same arguments. ({error})"
            ) from error
        return restored.eval()
    # Without memory, until it is known that the weights in the file have these shapes.
    with torch.device("meta"):
        axes = state.get(AXES)
        n_components = None if axes is None else axes.shape[1]
        autoencoder = construct(network, layout, embedding_dim, n_components)
    restored = ClusteringModel(autoencoder, embedding_dim, n_clusters)
    restored.load_state_dict(state, assign=True)
    order_in_memory(restored.autoencoder.float(), layout)
    return restored.eval()


def _shape(values):
    """Positive integers of a sensible size, as a tuple."""
    for value in values:
        if type(value) is not int or not 0 < value < MAX_DIMENSION:
            raise ValueError(f"{value!r} is no number of anything")
    return tuple(values)


def _is_plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (str, int, float, np.number, np.bool_, type(None)))
