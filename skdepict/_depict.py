"""The public estimator: parameters, validation and methods."""

import copy
import os
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdepict._data.checks import in_words
from skdepict._data.layout import MIN_IMAGE_SIDE, find_layout
from skdepict._data.reduction import working_shape
from skdepict._data.rows import check_rows, fingerprint_of_rows, float_dtype
from skdepict._data.samples import InputFormat, Samples
from skdepict._data.scaling import fit_scaling
from skdepict._surroundings import module_generators, own_surroundings, restored, warn
from skdepict._training.callbacks import (
    CallbackSupportMixin,
    FitEvents,
    with_callbacks,
)
from skdepict._training.joins import clusters_of
from skdepict._training.loop import Training
from skdepict._training.neighbors import component_axes
from skdepict._training.objectives import class_means
from skdepict._training.processes import Processes
from skdepict._training.progress import check_values
from skdepict._training.settings import (
    ALGORITHMS,
    BUDGETS,
    Settings,
    check_prior,
    default_embedding_dim,
    published,
)
from skdepict._training.start import (
    check_init,
    known_n_clusters,
    labels_are_given,
    samples_to_label,
)
from skdepict._training.streams import stream_seed
from skdepict._training.votes import estimator_of_votes
from skdepict._typicality import typicality_of
from skdepict.networks._base import Autoencoder
from skdepict.networks._build import build_autoencoder, choose_network
from skdepict.networks._device import resolve_device
from skdepict.networks._inference import (
    assign,
    assign_all,
    components_of_references,
    decode_all,
    embed_all,
    embed_beside_components,
    of_parts,
)
from skdepict.networks._model import ClusteringModel
from skdepict.persistence._checkpoint import Checkpoints
from skdepict.persistence._identity import identify
from skdepict.persistence._model_file import read_model, save

# What a fit leaves beside attributes that end with an underscore.
OF_FIT = ("_input_format", "_components")

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]


class DEPICTClustering(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CallbackSupportMixin,
    ClusterMixin,
    BaseEstimator,
):
    """Deep clustering by a joint autoencoder and relative entropy minimisation.

    DEPICT [1]_ learns an embedding and a softmax layer on it, which together place
    samples in clusters. A noisy pathway of the encoder learns to predict what the
    clean pathway is confident of, under a prior on the cluster sizes, while a decoder
    can reconstruct every layer.

    Training has three phases: "pretrain" (the autoencoder alone, where starting labels
    are to be found in its embedding), "initialise" (starting labels are found and the
    network learns them) and "joint" (target distribution and network improve each
    other). The last two are repeated. If the starting labels are about equally large,
    that is done where the embedding shows better ones. If they lie apart, the network
    learns them as they are. Otherwise there are groups that are finer than clusters at
    first, which are joined where the network confuses them, so that clusters may be of
    any size.

    Few users set more than `n_clusters`. Of the other parameters, `image_shape` to
    `network` describe the model, `init` to `n_init` where training starts, `algorithm`
    to `batch_size` training itself, and `device` to `verbose` how it runs.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        The number of clusters. "auto" finds it: the number at which clusters of equal
        size show, or else the one that joins of finer groups tell, or graphs, where
        clusters lie apart. Of fewer than 30 samples (300 of series, of images without
        `distortion` and of tables without neighbours) it is what
        :class:`PathIntegralClustering` finds with ``n_clusters=None``. Of more there
        are at most a tenth as many clusters, unless they are even or lie apart. Labels
        or centres in `init` tell it themselves.

    image_shape : tuple of int, default=None
        The shape of one image when the rows of a two-dimensional X are flattened
        images: (height, width), (n_channels, height, width) or (height, width,
        n_channels), with 1 to 4 channels. Not needed for X of shape (n_samples,
        height, width), nor for four axes when only one of the first and the last axis
        of an image can be its channels (1, 3 or 4).

    working_size : int or None, default=32
        The side in pixels at which the network works: images of more pixels than a
        square of this side are reduced to so many, by the mean over areas. Time grows
        with its square. What the model returns as images is in their own size. None
        leaves images as they are. No effect on tables, series and a module of your own.

    network : {"auto", "conv", "published_conv", "dense", "sequence", \
            "sigmoid_conv"} or Module, default="auto"
        The autoencoder. "auto" takes "dense" for tables, and for images "conv", or
        "published_conv" if `algorithm` is not "stabilised". By default the embedding
        has 64 units, or `n_clusters` if that is more.

        - "conv": strided convolutions, for images of at least 8x8 pixels.
        - "published_conv": those of the paper [1]_, which take longer.
        - "dense": fully connected, for tables and images.
        - "sequence": 1-D convolutions, for series of at least 8 steps; X is
          (n_samples, length) or (n_samples, n_channels, length).
        - "sigmoid_conv": batch norm and sigmoid after each convolution, binary
          cross-entropy, Q within each batch. Slow.
        - a :class:`torch.nn.Module` of your own with the methods ``encode`` and
          ``decode`` of :class:`skdepict.networks.Autoencoder`. A copy of it is
          trained, starting from the weights it has.

    init : {"path-integral", "kmeans"}, clusterer or array-like, default="path-integral"
        Where the starting labels come from.

        - "path-integral": agglomerative clustering of the data by path integrals
          [2]_, see :class:`PathIntegralClustering`, on four graphs, of which the one
          whose cluster sizes are nearest to the prior is taken, or whose clusters lie
          apart, or for fine groups one.
        - "kmeans": k-means on the embedding of an autoencoder that is trained alone
          at first: for as many epochs as the joint phase has by default, or as the
          larger of `fit_epochs` and `max_iter` if both are given. A module of your own
          goes on from its weights; to use these as they are, pass labels.
        - a scikit-learn clusterer, which is cloned and fitted to this embedding. Its
          `n_clusters` (or `n_components`) is set to ours, and its `random_state` if it
          is None.
        - array-like of shape (n_samples,): the labels, integers from 0 to
          `n_clusters` - 1.
        - array-like of shape (n_clusters, n_features): centres, in the units of X;
          each sample starts in the cluster of the nearest one.

        Of more than 50,000 samples a random 50,000 are labelled, unless labels are
        given; the network learns these and labels the others.

    prior : array-like of shape (n_clusters,), "uniform" or None, default=None
        Expected frequencies of the clusters: positive and summing to 1. By default they
        are estimated, but of tables whose groups overlap, where they are equal.
        "uniform" expects clusters of equal size. Of a given prior, unless `init` is an
        array, the largest cluster found has the largest frequency, and so on down. Not
        with n_clusters="auto".

    n_init : int, default=1
        How many fits vote on the starting labels, each from a seed of its own: a sample
        starts in the cluster that most of them place it in, and one more network is
        trained on that, which is the model. It can pay where fits differ, as they do on
        some hundred images; of thousands they say nearly the same. Takes `n_init` + 1
        times as long, and leaves no finer groups for `cut`. After a kill,
        `checkpoint_dir` continues only the fit that was going on.

    algorithm : {"stabilised", "paper", "program"}, default="stabilised"
        How the network is trained.

        - "stabilised": the sharper of the two forms of the target distribution Q, from
          a moving average of the weights (0.99 of it stays in a step), which also is
          the fitted model; a learning rate that in each phase climbs to its peak for a
          quarter of the steps and falls to zero along half a cosine; an end of the
          joint phase, and a way back to its best epoch, where the cluster sizes drift
          away from a prior that is not estimated.
        - "paper": none of this, Q of equation 6 [1]_, and as many units in the
          embedding as clusters, if their number is told.
        - "program": as "paper", with the sharper form of Q, which the program of the
          paper's authors uses.

    max_rounds : int, default=3
        How often the phases "initialise" and "joint" may be run. Where the prior is
        estimated, the first round is for fine groups, which are joined before the
        second one: three for each cluster, and at least 30; of images with
        `distortion` twice as many. If `n_clusters` is "auto" and all of them are
        clusters, or of tables whose clusters lie apart more than half, the second round
        is for finer ones, three, or of images six, for each of these. With 1 there are
        no fine groups, unless `n_clusters` is "auto", which then takes two rounds. Of
        tables whose clusters do not lie apart, equal frequencies are expected after the
        joins. Otherwise, with init="path-integral", where sizes have left the prior,
        the embedding is clustered by path integrals too, once it is trained; labels
        whose sizes are nearer to the prior are what the next round starts from. There
        is no next round if they are not.

    fit_epochs : int, default=None
        Epochs of learning the starting labels, in each round. By default 12, and more
        on small data, for at least 800 steps of gradient descent and 25 to a cluster
        (half as many in batches twice as large, see `batch_size`). Twice as many for
        clusters that were not found to be even but lie apart. Of images, half as many,
        but at least 40, for groups that are yet to be joined, and a quarter, but at
        least 12, in other rounds after the first.

    max_iter : int, default=None
        Most epochs of the joint phase, in each round. By default 20; more on small
        data, for at least 1280 steps (see `batch_size`), and fewer on large data, for
        at most 12,000 steps, but no fewer than 4. None for clusters that were not found
        to be even but lie apart. Of images, 0.6 times as many, but at least 40, for
        groups that are yet to be joined, and half as many, but at least 20, in other
        rounds after the first.
        The phase ends before, has converged, when fewer than 0.2 % of the samples would
        change cluster if they went on as in the last epoch, after the first quarter;
        with ``algorithm="paper"`` or "program", when the mean squared change of Q from
        one epoch to the next is below 1e-7.

    reconstruction_weight : float, default=1.0
        The weight of the reconstruction loss in the joint objective. In "initialise"
        the decoder alone learns from it. To take little time, every eighth batch is
        reconstructed, of images and series half of it, with eight times the weight;
        with ``algorithm="paper"`` or "program" all are. With 0 the decoder learns
        nothing.

    distortion : bool, default=True
        Whether the noisy pathway sees images distorted at random: rotated by up to 10
        degrees, shifted by up to 10 % of the side, scaled by up to 10 %, and bent, with
        the points of a 4x4 grid moved by up to 8 % of the side. No effect on tables and
        series.

    n_neighbors : int, default=15
        How many nearest rows of a table, but no more than a sixth of them, are examples
        of what a row is one of, as distorted images are: Q is computed from predictions
        that are averaged over a row and these, and fine groups are joined that rows
        share with them. They are found among the 50 first principal components, partly
        whitened and, if there are 8 or more, brought to unit length
        (:class:`WhitenedComponents`, 0.3); a "dense" network sees tables in these
        coordinates. With 0 there are none, and it sees the columns. Fine groups of
        images are joined that images share with so many neighbours in the embedding, or
        with distorted views of their own. No effect on series, nor on labels given for
        more than 50,000 samples.

    learning_rate : float, default=None
        The peak of Adam's learning rate. By default 6e-3 for "conv", else 4e-3, and up
        to sqrt(2) times as much on small data (see `batch_size`).

    batch_size : int, default=256
        Samples per step of gradient descent. Small data take smaller batches, an eighth
        of the samples, but at least 32. Where these are larger than a sixteenth would
        be, fewer steps are taken, at a higher default rate.

    device : str or torch.device, default="auto"
        Where to compute: "auto" takes CUDA (the GPU of LOCAL_RANK, in a process
        group), else MPS where a first small fit works, else the CPU; or a torch device
        or its name, such as "cpu" or "cuda:1". Also read by `predict` and `transform`,
        so that a model fitted on one device can be used on another.

    checkpoint_dir : str or path-like, default=None
        Folder in which the fit keeps what it needs to be resumed after it was killed:
        the same call, with the same parameters and data, then continues where it was,
        to the same labels as without the pause (but for several processes, whose noise
        is another then). Written at the end of each phase, and
        as often as takes 5 % of the time; removed at the end. Many fits can have one
        folder.

    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the noise and the order of the batches. An int gives the
        same result in every fit on one machine.

    verbose : int, default=0
        1 prints the losses of each epoch.

    Attributes
    ----------
    n_clusters_ : int
        The number of clusters.

    labels_ : ndarray of shape (n_samples,)
        The cluster of each training sample. Equal to ``predict(X)``.

    prior_ : ndarray of shape (n_clusters,)
        The frequencies that training expected of the clusters: those given, equal ones,
        or what was estimated.

    linkage_ : ndarray of shape (n_groups - 1, 4)
        In which order groups were, and clusters would be, joined, in the form of
        :func:`scipy.cluster.hierarchy.linkage`; see `cut`. Heights say how much two
        views of a sample agree on which of the two it is in, from 0 to 1: noisy ones,
        or of tables a row and its neighbours. Groups of fewer than two samples are
        joined first, at height 0. Leaves are the groups of the last round but one, if
        clusters were joined of these, otherwise the clusters.

    groups_ : ndarray of shape (n_samples,)
        The leaf of `linkage_` that each training sample is in.

    vote_shares_ : ndarray of shape (n_samples,)
        The share of the fits that vote which place each training sample where `labels_`
        does; only with `n_init` above 1.

    number_evidence_ : dict of ndarray
        What joins say of the number of clusters, ready for :class:`pandas.DataFrame`:
        "n_clusters", from 2 to the number of groups that hold two samples or more (of
        clusters: of all); the "agreement" of two views of a sample, as in `linkage_`,
        on its cluster (their mutual information over the entropy of the clusters); the
        "least_agreement", on which of the two least distinct clusters it is in; and the
        "modularity", by how much more often two views, or an image and its neighbour
        where fine groups were joined, are in one cluster than those of different
        samples; each for what is left when the groups that are confused most are
        joined. n_clusters="auto" takes the number of the highest modularity for images
        with `distortion`, or more where clusters of graphs lie apart. For others it is
        the number before the odds of the least agreement fall from 1 or more to less by
        a factor of e, of views that are neighbours if there are such, though where
        clusters lie apart these values are of views by dropout; or else the number
        up to which these odds are at least 0.37 of those of the agreement, but
        where views are neighbours no more than that of the highest modularity, or where
        clusters lie apart no less than graphs tell.

    cluster_centers_ : ndarray of shape (n_clusters, embedding_dim)
        The mean embedding of each cluster; NaN for a cluster that has no samples.

    cluster_prototypes_ : ndarray of shape (n_clusters, ...)
        What the samples of each cluster have in common, in their shape and units: the
        cluster's centre, decoded as `inverse_transform` does.

    embedding_ : ndarray of shape (n_samples, embedding_dim)
        The embedding of the training samples. Equal to ``transform(X)``.

    network_ : torch.nn.Module
        The trained autoencoder (``network_.autoencoder``) and softmax layer
        (``network_.assignment``).

    n_rounds_ : int
        The number of rounds of the phases "initialise" and "joint".

    best_round_ : int
        The round, counted from 1, whose result was kept: the last one where fine groups
        were joined, otherwise the one in which the cluster sizes are nearest to the
        prior.

    n_iter_ : int
        The number of epochs of the joint phase, in all rounds.

    converged_ : bool
        Whether the joint phase has converged in the round that was kept; False if it
        had no epochs.

    history_ : list of dict
        One entry per epoch, ready for :class:`pandas.DataFrame`: "phase", "round"
        (from 1; 0 in "pretrain"), "epoch" (from 0), the losses "loss", "reconstruction"
        and "clustering" (KL(Q || P)), and in the joint phase "prior_divergence" (KL(f
        || u)) and "target_change". Where samples are held out (see `as_published`),
        "held_out" is their reconstruction loss in "pretrain", and in "initialise" 1
        less the NMI of their clusters with the starting labels.

    n_features_in_ : int
        The number of values of one sample.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen in `fit`, if all were strings.

    See Also
    --------
    sklearn.cluster.KMeans : Fast, for round clusters in the space of the data.
    sklearn.mixture.GaussianMixture : Elliptic clusters with soft memberships.

    Notes
    -----
    Columns of a table are centred and all divided by one number, as the distances of
    KMeans would have it; put a :class:`~sklearn.preprocessing.StandardScaler` in front
    where their units differ. Sparse data is refused: put
    :class:`~sklearn.decomposition.TruncatedSVD` in front.

    Where the processor or the GPU computes bfloat16 natively, the matrix products of
    training are in bfloat16 (:func:`torch.autocast`), also those of a module of your
    own, but for rows of tables on a processor; `predict` and `transform` are in
    float32. So the same `random_state` may give other labels on another processor.

    An interrupt from the keyboard ends training, and whatever called `fit`: a search, a
    loop, a notebook's cell. The KeyboardInterrupt that `fit` raises says whether there
    are clusters already; then the estimator is fitted with what there is, and
    ``converged_`` is False. With `checkpoint_dir`, the same call continues from there.

    References
    ----------
    .. [1] Dizaji, Herandi, Deng, Cai and Huang, "Deep Clustering via Joint
       Convolutional Autoencoder Embedding and Relative Entropy Minimization", ICCV
       2017, :arxiv:`1704.06327`.

    .. [2] Zhang, Zhao and Wang, "Agglomerative clustering via maximum incremental path
       integral", Pattern Recognition 46, 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdepict import DEPICTClustering
    >>> images = load_digits().images
    >>> model = DEPICTClustering(n_clusters=10, random_state=0).fit(images)
    >>> model.labels_.shape
    (1797,)
    >>> model.predict_proba(images[:5]).shape
    (5, 10)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "image_shape": [tuple, list, None],
        "working_size": [Interval(Integral, MIN_IMAGE_SIDE, None, closed="left"), None],
        "network": [
            StrOptions(
                {"auto", "conv", "published_conv", "dense", "sequence", "sigmoid_conv"}
            ),
            HasMethods(["encode", "decode", "parameters"]),
        ],
        "init": [
            StrOptions({"path-integral", "kmeans"}),
            HasMethods(["fit_predict", "get_params"]),
            "array-like",
        ],
        "prior": ["array-like", StrOptions({"uniform"}), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions(set(ALGORITHMS))],
        "max_rounds": [Interval(Integral, 1, None, closed="left")],
        "fit_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "max_iter": [Interval(Integral, 0, None, closed="left"), None],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "distortion": ["boolean"],
        "n_neighbors": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "checkpoint_dir": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters: int | str = 8,
        *,
        image_shape: tuple[int, ...] | None = None,
        working_size: int | None = 32,
        network: str | torch.nn.Module = "auto",
        init: Any = "path-integral",
        prior: ArrayLike | str | None = None,
        n_init: int = 1,
        algorithm: str = "stabilised",
        max_rounds: int = 3,
        fit_epochs: int | None = None,
        max_iter: int | None = None,
        reconstruction_weight: float = 1.0,
        distortion: bool = True,
        n_neighbors: int = 15,
        learning_rate: float | None = None,
        batch_size: int = 256,
        device: str | torch.device = "auto",
        checkpoint_dir: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.image_shape = image_shape
        self.working_size = working_size
        self.network = network
        self.init = init
        self.prior = prior
        self.n_init = n_init
        self.algorithm = algorithm
        self.max_rounds = max_rounds
        self.fit_epochs = fit_epochs
        self.max_iter = max_iter
        self.reconstruction_weight = reconstruction_weight
        self.distortion = distortion
        self.n_neighbors = n_neighbors
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.device = device
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def as_published(
        cls,
        n_clusters: int = 8,
        *,
        budget: Literal["full", "short"] = "full",
        network: Any = "auto",
        **parameters: Any,
    ) -> Self:
        """The method as its authors run it, without what this package adds.

        As many units in the embedding as clusters; an autoencoder that is trained at
        first, whose embedding is clustered by path integrals on one graph, of 20
        neighbours and without a rule for small groups; the reconstruction loss in all
        phases, its gradient flowing through the clean layers too; dropout as the only
        noise, and no neighbours; Adam at 1e-4, anew in each phase, in batches of 100;
        single precision;
        ``algorithm="program"``, whose Q is the squared one of the authors' program
        (``algorithm="paper"`` has that of the paper's equation 6).

        A tenth of the samples, drawn at random, is held out of the first two phases.
        "pretrain" ends when their clean reconstruction loss has had no new minimum for
        100 epochs, "initialise" when the NMI of their clusters with the starting labels
        has not risen for 5; the best weights are restored. "joint" ends when Q changes
        by less than 1e-7 in the mean square.

        For the sets where the authors started from k-means, pass
        ``init=KMeans(n_clusters, n_init=40)``.

        What stays of this package: the graph has a bandwidth for each sample, not one
        for all; batches are equally large, where the authors drop an incomplete one,
        and smaller on fewer than 1600 samples; the held-out tenth is not drawn class by
        class, for classes are not known.

        Parameters
        ----------
        n_clusters : int, default=8
            The number of clusters. Call this again for another number, for `init`
            depends on it.

        budget : {"full", "short"}, default="full"
            How many epochs the three phases have at most: 4000 each, as the authors'
            program, or 50, 20 and 50, which is far too few for the paper's figures.
            With `checkpoint_dir` a fit of days can be killed and goes on.

        network : str or Module, default="auto"
            As in the class. With "sigmoid_conv" the fit is that of the small variant in
            PyTorch: Q is computed within each batch and has the paper's square root
            (``algorithm="paper"``), the embedding is the network's own code, and the
            learning rate is 1e-3, for its sigmoids pass on small gradients only.

        **parameters
            Further parameters of the class; they override those of the paper.

        Returns
        -------
        model : DEPICTClustering
            Not fitted.

        References
        ----------
        Dizaji et al., ICCV 2017, :arxiv:`1704.06327`, sections 3 and 4, and the
        authors' program, https://github.com/herandy/DEPICT.
        """
        if n_clusters == "auto":
            raise ValueError(
                "as_published needs the number of clusters, which the paper's network "
                "has as many units for. Pass n_clusters=10, for example."
            )
        if budget not in BUDGETS:
            raise ValueError(
                f"budget={budget!r} is not known. Use one of {', '.join(BUDGETS)}."
            )
        return cls(n_clusters, **(published(n_clusters, budget, network) | parameters))

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster X and train the network that does so.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                with the channels as a fourth axis
            The samples, finite numbers. uint8 images are kept as they are, everything
            else is held in float32. What does not fit into memory is read batch by
            batch: a :class:`numpy.memmap`, the path of an ``.npy`` file, a map-style
            torch dataset of samples (or of tuples that begin with them), or an array
            with slices such as those of h5py and zarr.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If X or a parameter cannot be used. Nothing has been trained then, and what
            an earlier fit left is kept.
        FloatingPointError
            If the loss stops being finite (the message names phase and epoch), or if
            the embedding collapses to one point.
        KeyboardInterrupt
            If there was one. What training has come to is in the estimator, if there
            are clusters already; otherwise what an earlier fit left.
        """
        if isinstance(self.network, type):
            name = self.network.__name__
            raise TypeError(
                f"network={name} is a class. Pass an instance of it: network={name}()."
            )
        if self.n_init > 1:
            return self._fit_to_votes(X, y)
        earlier = self._pop_fitted_attributes()
        try:
            device = self._resolve_device()
            own_network = not isinstance(self.network, str)
            generators = module_generators(device) if own_network else {}
            with (
                own_surroundings(device),
                restored(generators.values()),
                ExitStack() as held,
            ):
                progress = self._fit(X, y, device, generators, held)
        except BaseException as error:
            self._pop_fitted_attributes()
            self.__dict__.update(earlier)
            if type(error) is KeyboardInterrupt and not error.args:
                raise KeyboardInterrupt(
                    "The fit was interrupted before it had a result."
                    + self._how_to_go_on()
                ) from error
            raise
        # Whatever called this must end too: a search would take the model for whole.
        if progress.interrupted:
            raise KeyboardInterrupt(
                f"The fit was interrupted after {len(progress.history)} epochs. The "
                "model can be used as it is." + self._how_to_go_on()
            )
        return self

    def _how_to_go_on(self):
        if self.checkpoint_dir is None:
            return ""
        return " The same fit goes on from its last checkpoint, if there is one."

    def _fit_to_votes(self, X, y):
        """Fit to what most of several fits agree on."""
        model, votes = estimator_of_votes(self, X)
        try:
            model.fit(X, y)
        finally:
            if hasattr(model, "labels_"):
                self._pop_fitted_attributes()
                self.__dict__.update(model._pop_fitted_attributes())
                self.vote_shares_ = np.mean(votes == self.labels_, axis=0)
        return self

    def _fit(self, X, y, device, generators, held):
        """Fit on a device, within surroundings of our own; returns the progress.

        What has to be held until the end is entered into the ExitStack `held`.
        """
        rows, sample_shape = check_rows(self, X)
        layout = find_layout((len(rows), *sample_shape), self.image_shape, self.network)
        processes = Processes(device)
        fingerprint = cache(lambda: fingerprint_of_rows(rows))
        processes.check_alike(rows, fingerprint)
        checkpoints, saved = self._open_checkpoint(fingerprint, processes, device, held)
        seed = self._draw_seed(saved, processes)
        n_clusters = self._known_n_clusters(rows, layout.kind, processes)
        prior = check_prior(self.prior, n_clusters)
        init = check_init(self.init, len(rows), n_clusters, sample_shape)
        for generator in generators.values():
            generator.manual_seed(stream_seed(seed, "module", processes.rank))
        own_network = not isinstance(self.network, str)
        working_size = None if own_network else self.working_size
        shape = working_shape(layout, working_size)
        model, scaling = self._build_model(
            rows, replace(layout, shape=shape), n_clusters, seed, processes
        )
        rounds = rows.dtype == np.uint8 and shape != layout.shape
        self._input_format = InputFormat(sample_shape, layout, scaling, shape, rounds)
        if isinstance(init, np.ndarray) and init.ndim > 1:
            init = Samples(init, self._input_format, torch.device("cpu")).rows()
        settings = self._settings(
            layout, len(rows), n_clusters, init=init, prior=prior, seed=seed
        )
        samples = Samples(rows, self._input_format, device, processes.share(len(rows)))
        labelled = self._labelled(rows, samples, settings, processes)
        training = Training(
            model.to(device),
            samples,
            labelled,
            settings,
            processes,
            generators,
            checkpoints,
        )
        training.resume(saved)
        n_phases = (settings.pretrain_epochs > 0) + 2 * settings.most_rounds
        events = FitEvents(self, X, y, n_phases, lambda: fitted_so_far(training))
        training.run(events)
        self._keep(training, processes, samples, rows)
        if not training.progress.interrupted:
            self._warn_of_empty_clusters()
            events.end()
            if checkpoints is not None and processes.rank == 0:
                checkpoints.remove()
        return training.progress

    def _open_checkpoint(self, fingerprint, processes, device, held):
        """Hold this fit's checkpoint until the end; returns it and what it has."""
        if self.checkpoint_dir is None:
            return None, None
        # Before a seed is drawn, which moves a RandomState on.
        identity = processes.from_first(lambda: identify(self, fingerprint(), device))
        checkpoints = Checkpoints(self.checkpoint_dir, identity)

        def hold_and_read():
            held.enter_context(checkpoints.held())
            return checkpoints.read(check_values)

        return checkpoints, processes.from_first(hold_and_read)

    def _draw_seed(self, saved, processes):
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        if saved is not None:
            seed = saved[0]["seed"]
        return processes.from_first(lambda: seed)

    def _known_n_clusters(self, rows, kind, processes):
        """The number of clusters; None if training is to find it."""
        n_clusters: Any = self.n_clusters
        if n_clusters != "auto":
            # True is an integer in Python, but not to torch.
            n_clusters = int(n_clusters)
        else:
            if self.prior is not None:
                check_prior(self.prior, None)
            views = {"image": self.distortion, "table": self.n_neighbors > 0}
            known = self.init, rows, views.get(kind, False)
            n_clusters = processes.from_first(lambda: known_n_clusters(*known))
        if n_clusters is not None and len(rows) < n_clusters:
            raise ValueError(
                f"n_samples={len(rows)} should be >= n_clusters={n_clusters}. "
                "Pass more samples or ask for fewer clusters."
            )
        return n_clusters

    def _build_model(self, rows, layout, n_clusters, seed, processes):
        """The model, alike in all processes, and the scaling of its input."""
        embedding_dim = default_embedding_dim(n_clusters, self.algorithm)
        axes = scaling = None
        network = choose_network(self.network, layout, self.algorithm)
        if layout.kind == "table" and network == "dense":
            scaling = fit_scaling(rows, layout, Autoencoder.input_range, processes)
            axes = processes.from_first(lambda: self._axes(rows, scaling, seed))
        autoencoder, embedding_dim = build_autoencoder(
            network, layout, embedding_dim, stream_seed(seed, "weights"), axes
        )
        if scaling is None:
            scaling = fit_scaling(rows, layout, autoencoder.input_range, processes)
        if n_clusters != 1 and scaling.constant:
            raise ValueError(
                "All samples in X are equal, so there is nothing to tell "
                f"n_clusters={self.n_clusters} clusters apart by. Check how X was made."
            )
        model = ClusteringModel(autoencoder, embedding_dim, n_clusters or 1)
        processes.start_alike(model)
        return model, scaling

    def _axes(self, rows, scaling, seed):
        """The axes along which a network sees rows of a table; None for the columns."""
        if self.n_neighbors == 0 or scaling.constant:
            return None
        members = samples_to_label(None, len(rows), seed)
        chosen = rows[:] if members is None else rows[members]
        return component_axes(scaling.apply(chosen))

    def _settings(self, layout, n_samples, n_clusters, **found):
        members = samples_to_label(found["init"], n_samples, found["seed"])
        parameters = self.get_params(deep=False)
        return Settings.of(parameters, layout, n_samples, n_clusters, members, **found)

    def _labelled(self, rows, samples, settings, processes):
        """The samples that get starting labels; the first process looks at them."""
        members = settings.members
        apart = members is not None or processes.size > 1
        if not apart or processes.rank > 0 or labels_are_given(settings.init):
            return samples
        chosen = rows if members is None else rows[members]
        return Samples(chosen, self._input_format, samples.device)

    def _keep(self, training, processes, samples, rows):
        """Set the fitted attributes."""
        model, progress = training.model, training.progress
        self.n_clusters_ = model.assignment.out_features
        self.prior_ = progress.prior.cpu().numpy()
        self.network_ = model
        self.history_ = progress.history
        self.n_rounds_ = progress.round
        self.best_round_ = progress.best.get("round", progress.round)
        self.n_iter_ = progress.n_iter
        self.converged_ = progress.converged
        embedding = processes.gather(embed_all(model, samples))
        self.labels_ = assign(model, embedding).argmax(dim=1).numpy()
        self.linkage_ = progress.joined.linkage()
        self.groups_ = progress.joined.within(self.labels_)
        self.number_evidence_ = evidence(progress.joined.numbers)
        self.embedding_ = embedding.numpy().astype(float_dtype(rows), copy=False)
        self.cluster_centers_ = class_means(
            self.embedding_, self.labels_, self.n_clusters_
        )
        seen_by = model, rows, self._input_format, samples.device
        self._components = components_of_references(*seen_by)

    def cut(self, n_clusters: int) -> NDArray[np.int64]:
        """Cut the tree of joins at another number of clusters.

        More clusters split those of `labels_`, fewer join them.

        Parameters
        ----------
        n_clusters : int
            From 1 to the number of leaves of `linkage_`, of which some may hold no
            sample.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The cluster of each training sample: `labels_` at `n_clusters_`, elsewhere 0
            is the largest.
        """
        check_is_fitted(self)
        if not hasattr(self, "linkage_"):
            raise ValueError(
                "This model was loaded from a file of an earlier release, which has no "
                "tree of joins. Fit again."
            )
        most = len(self.linkage_) + 1
        # True counts as 1 in Python, but is no number of clusters.
        is_number = isinstance(n_clusters, Integral) and n_clusters is not True
        if not is_number or not 1 <= n_clusters <= most:
            raise ValueError(
                f"n_clusters={n_clusters!r} must be an integer from 1 to the {most} "
                "leaves of the tree. For more clusters fit again with n_clusters=..., "
                "and n_init=1."
            )
        children = self.linkage_[:, :2].astype(np.intp)
        labels = clusters_of(children, n_clusters)[self.groups_]
        if n_clusters == self.n_clusters_:
            table = contingency_matrix(labels, self.labels_, sparse=True)
            if table.shape == (table.nnz, table.nnz):
                return self.labels_.copy()
        sizes = np.bincount(labels, minlength=n_clusters)
        return np.argsort(np.argsort(-sizes, kind="stable"))[labels]

    def fit_transform(self, X: Any, y: Any = None) -> Floats:
        """Cluster X and return its embedding.

        Parameters
        ----------
        X : array-like
            The samples, as in `fit`.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        embedding : ndarray of shape (n_samples, embedding_dim)
            The same as ``fit(X).transform(X)``.
        """
        return self.fit(X, y).embedding_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """Predict the cluster of each sample.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The most probable cluster of each sample.
        """
        return self._of_parts(X, _labels, np.int64)

    def predict_proba(self, X: Any) -> Floats:
        """Predict the probability of each cluster for each sample.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_clusters)
            Rows sum to 1; the largest entry of a row is at its label.
        """
        return self._of_parts(X, assign_all)

    def transform(self, X: Any) -> Floats:
        """Embed samples.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        embedding : ndarray of shape (n_samples, embedding_dim)
            The clean pathway's embedding. The row of a sample does not depend on the
            other samples it is passed with.
        """
        return self._of_parts(X, embed_all)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Decode embeddings into samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, embedding_dim)
            Embeddings, such as `transform` returns or `cluster_centers_`.

        Returns
        -------
        X_original : ndarray of shape (n_samples, ...)
            Samples in the units and the shape that `fit` saw. With
            ``reconstruction_weight=0`` and starting labels that were not looked for in
            the embedding the decoder has learned nothing, and they are noise.
        """
        check_is_fitted(self)
        embedding = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if embedding.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {embedding.shape[1]} columns, but the embedding of this "
                f"{type(self).__name__} has {self._n_features_out}. Pass what "
                "transform returned."
            )
        device = self._resolve_device()
        with own_surroundings(device):
            decoded = decode_all(
                self.network_.to(device),
                torch.as_tensor(embedding, dtype=torch.float32, device=device),
                self._input_format.network_layout.n_features,
            )
        return self._input_format.restore(decoded).astype(embedding.dtype)

    @property
    def cluster_prototypes_(self) -> Floats:
        """What the samples of each cluster have in common: its centre, decoded."""
        check_is_fitted(self)
        has_samples = ~np.isnan(self.cluster_centers_).any(axis=1)
        decoded = self.inverse_transform(self.cluster_centers_[has_samples])
        shape = len(has_samples), *decoded.shape[1:]
        prototypes = np.full(shape, np.nan, dtype=decoded.dtype)
        prototypes[has_samples] = decoded
        return prototypes

    def score(self, X: Any, y: Any = None) -> float:
        """How sure the model is of where it puts X.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
            Mean log-probability of the samples' clusters: 0 if all are certain, below
            otherwise. Compare it at equal `n_clusters` only.
        """
        return float(self._of_parts(X, _certainty, np.float64).mean())

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """How typical samples are of those that the model was fitted to.

        `predict` finds a cluster for each sample, also for one that belongs nowhere.
        This tells it apart.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The lowest of two or three logarithms, each scaled to be 0 at the median of
            the training samples and -1 at their lower quartile, as the score itself is;
            up to 2,000 of them, drawn at random, are looked at. Two are densities of
            training samples at the embedding, of Gaussian kernels: the squared width of
            one is the mean squared distance to the mean of the cluster, the other one
            is half as wide. Of a table with `n_neighbors` and the built-in network the
            third falls with the distance to the tenth of the nearest training rows,
            along the components that the network sees. Samples of a small cluster are
            less typical than those of a large one, and those that were not in a small
            fit less than those that were.

        Examples
        --------
        Leave out the twentieth that is least typical:

        >>> from sklearn.datasets import load_digits
        >>> from skdepict import DEPICTClustering
        >>> images = load_digits().images[:300]
        >>> model = DEPICTClustering(
        ...     10, fit_epochs=5, max_iter=1, max_rounds=1, random_state=0).fit(images)
        >>> scores = model.score_samples(images)
        >>> typical = scores > np.quantile(scores, 0.05)
        >>> images[typical].shape
        (285, 8, 8)
        """
        check_is_fitted(self)
        typicality = typicality_of(self)

        def score(model, samples):
            points = embed_beside_components(model, samples)
            return torch.from_numpy(typicality(points.cpu().numpy()))

        return self._of_parts(X, score, np.float64)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file that :func:`skdepict.load` opens.

        Parameters
        ----------
        path : str or Path
            The file; replaced if it is there.

        See Also
        --------
        skdepict.load : Open it; no code of the file is run, so it may be untrusted.
        """
        save(self, path)

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model as an ONNX file, to predict without Python or torch.

        Its input "samples" is single precision, of the shape (n_samples, ...) of the
        samples in `fit` and in their units. Its outputs are "labels", "probabilities"
        and "embedding": what `predict`, `predict_proba` and `transform` return, to
        single precision, for samples that single precision can hold: centre those whose
        offset is many times their spread before fitting.

        Parameters
        ----------
        path : str or Path
            The file; replaced if it is there.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        ImportError
            If onnx or onnxscript is missing: ``pip install "skdepict[onnx]"``.
        FileNotFoundError
            If the folder of `path` is missing.

        Notes
        -----
        ::

            session = onnxruntime.InferenceSession("model.onnx")
            labels, = session.run(["labels"], {"samples": images.astype("float32")})
        """
        from skdepict.persistence._onnx import export_onnx

        export_onnx(self, path)

    @classmethod
    def _fit_something(cls, device):
        """Fit something small, which tells whether a device works."""
        images = np.random.default_rng(0).random((32, 8, 8), dtype=np.float32)
        model = cls(
            2, init=[0, 1] * 16, fit_epochs=1, max_iter=1, device=device, random_state=0
        )
        model.fit(images).predict(images)

    def _of_parts(self, X, function, dtype=None):
        """Check X, and put together what a function makes of parts of the samples.

        Parameters
        ----------
        X : array-like
            Samples of the shape and in the units that `fit` saw, or their flattened
            rows.
        function : callable
            Takes the model and Samples; returns a tensor with a row for each.
        dtype : dtype, default=None
            Of the result; None for the one that suits X.

        Returns
        -------
        result : ndarray of shape (n_samples, ...)
        """
        check_is_fitted(self)
        device = self._resolve_device()
        with own_surroundings(device):
            rows, _ = check_rows(self, X, self._input_format.sample_shape)
            self._input_format.warn_of_other_range(rows)
            model = self.network_.to(device)
            dtype = dtype or float_dtype(rows)
            return of_parts(function, model, rows, self._input_format, device, dtype)

    def _resolve_device(self):
        return resolve_device(self.device, type(self)._fit_something)

    @property
    def _n_features_out(self):
        return self.network_.assignment.in_features

    def _warn_of_empty_clusters(self):
        sizes = np.bincount(self.labels_, minlength=self.n_clusters_)
        empty = in_words(np.flatnonzero(sizes == 0).tolist())
        if empty:
            warn(
                f"Clusters [{empty}] have no samples: {np.sum(sizes > 0)} of "
                f"n_clusters={self.n_clusters_} were found. X may have fewer distinct "
                "groups; a smaller n_clusters or another init may help.",
                ConvergenceWarning,
            )

    def _pop_fitted_attributes(self):
        """Take away, and return, everything that a fit has left."""
        names = [name for name in vars(self) if name.endswith("_") or name in OF_FIT]
        return {name: self.__dict__.pop(name) for name in names}

    def __getstate__(self):
        # On the CPU, so that what was fitted on a GPU opens on a machine without one.
        state = dict(super().__getstate__())
        if isinstance(state.get("checkpoint_dir"), os.PathLike):
            # A path of one system does not open on another.
            state["checkpoint_dir"] = os.fspath(state["checkpoint_dir"])
        for name in ("network", "network_"):
            module = state.get(name)
            if isinstance(module, torch.nn.Module) and any(
                tensor.device.type != "cpu" for tensor in module.state_dict().values()
            ):
                state[name] = copy.deepcopy(module).cpu()
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def fitted_so_far(training):
    """The attributes of an estimator as if the fit had stopped here, for callbacks."""
    model = training.progress.model_so_far()
    return None if model is None else {"network_": model}


def evidence(numbers):
    """What joins say of each number of clusters, by names."""
    n_clusters, agreement, least, modularity = numbers.T
    return {
        "n_clusters": n_clusters.astype(np.intp),
        "agreement": agreement,
        "least_agreement": least,
        "modularity": modularity,
    }


def _labels(model, samples):
    return assign_all(model, samples).argmax(dim=1)


def _certainty(model, samples):
    return assign_all(model, samples).amax(dim=1).log()


def load(
    path: str | os.PathLike[str], *, network: torch.nn.Module | None = None
) -> DEPICTClustering:
    """Open a model that :meth:`DEPICTClustering.save` has written.

    No code of the file is run, since there is none in it.

    Parameters
    ----------
    path : str or Path
        The file.
    network : torch.nn.Module, default=None
        The module of your own that the model was fitted with, if it was. A copy of it
        gets the weights of the file.

    Returns
    -------
    model : DEPICTClustering
        Fitted, on the CPU. Its `device`, `checkpoint_dir` and `verbose` are the
        defaults, whatever they were: they belong to a machine. So it computes on a GPU
        if there is one.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModelFileError
        If it is no such file, is damaged, or was written by a newer version, or if the
        network that is passed is none that the model was fitted with.
    TypeError
        If `network` is a class.

    Examples
    --------
    >>> import skdepict, tempfile
    >>> from sklearn.datasets import load_digits
    >>> images = load_digits().images[:200]
    >>> model = skdepict.DEPICTClustering(
    ...     10, fit_epochs=5, max_iter=1, random_state=0).fit(images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/digits.skdepict")
    ...     loaded = skdepict.load(f"{folder}/digits.skdepict")
    >>> (loaded.predict(images) == model.labels_).all()
    np.True_
    """
    return read_model(path, network, DEPICTClustering)
