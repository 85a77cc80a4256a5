"""What every module here may raise."""


class WorkflowError(ValueError):
    """The workflow cannot become a prompt on this server: one sentence that names the node."""
