"""What can go wrong, by what follows from it."""


class Refusal(Exception):
    """What was asked for cannot be done: one sentence; nothing has been started or written."""


class WorkerLost(Exception):
    """A worker's server does not answer any more, or did not come up."""


class RowFailed(Exception):
    """The server refused the row's prompt, or a node failed: the sentence goes into the manifest."""
