"""The training loop's phases and epochs as tasks of scikit-learn's callbacks."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    # scikit-learn before 1.9.

    class _NoContext:
        def subcontext(self, **task):
            return self

        def call_on_fit_task_begin(self, **task):
            pass

        def call_on_fit_task_end(self, **task):
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        @property
        def set_callbacks(self):
            raise AttributeError(
                "set_callbacks needs scikit-learn 1.9 or later. Use verbose=1 to "
                "follow a fit."
            )

        def _init_callback_context(self, max_subtasks):
            return _NoContext()

    def with_callbacks(fit):  # type: ignore[no-redef]
        return fit


class FitEvents:
    """Tell scikit-learn's callbacks of the fit, its phases and their epochs.

    Parameters
    ----------
    estimator : DEPICTClustering
        The estimator being fitted.
    X, y : array-like
        What fit was called with.
    n_phases : int
        The number of phases to come.
    fitted_attributes : callable
        Returns the attributes of an estimator fitted so far as a dict, or None while
        there are no clusters yet.
    """

    def __init__(self, estimator, X, y, n_phases, fitted_attributes):
        self._fitted_attributes = fitted_attributes
        self._task = {"estimator": estimator, "X": X, "y": y}
        self._root = estimator._init_callback_context(max_subtasks=n_phases)
        self._root.call_on_fit_task_begin(**self._task)

    def begin_phase(self, phase, n_epochs):
        """Begin a phase of at most n_epochs epochs."""
        self._phase = self._root.subcontext(task_name=phase, max_subtasks=n_epochs)
        self._phase.call_on_fit_task_begin(**self._task)

    def begin_epoch(self):
        """Begin the next epoch of the phase."""
        self._epoch = self._phase.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._task)

    def end_epoch(self):
        """End the epoch; return whether a callback asks to stop the phase."""
        return self._end(self._epoch)

    def end_phase(self):
        """End the phase."""
        self._phase.call_on_fit_task_end(**self._task)

    def end(self):
        """End the root task, with the estimator fitted."""
        self._end(self._root)

    def _end(self, context):
        return context.call_on_fit_task_end(
            **self._task, reconstruction_attributes=self._fitted_attributes
        )
