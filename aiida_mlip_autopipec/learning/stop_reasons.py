"""Why active learning stops."""

STOP_REASONS = {
    "explored": "exploration found no new structure above the limit of the extrapolation grade (converged)",
    "target": "the error on new labels is below the target",
    "budget": "the budget of labels is used up",
    "failed": "the run failed",
}
"""Text for each stop reason of active learning."""
