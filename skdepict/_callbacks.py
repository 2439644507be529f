"""The training loop's phases and epochs as tasks of scikit-learn's callbacks."""


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

    def epochs(self, phase, n_epochs):
        """Yield each epoch's number and a function to call at its end.

        The function returns whether a callback asks to stop the phase.
        """
        phase_context = self._root.subcontext(task_name=phase, max_subtasks=n_epochs)
        phase_context.call_on_fit_task_begin(**self._task)
        for number in range(n_epochs):
            context = phase_context.subcontext(task_name="epoch")
            context.call_on_fit_task_begin(**self._task)

            def finish(context=context):
                return context.call_on_fit_task_end(
                    **self._task, reconstruction_attributes=self._fitted_attributes
                )

            try:
                yield number, finish
            except GeneratorExit:
                break
        phase_context.call_on_fit_task_end(**self._task)

    def finish(self):
        """End the root task, with the estimator fitted."""
        self._root.call_on_fit_task_end(
            **self._task, reconstruction_attributes=self._fitted_attributes
        )
