"""Settings of the user: pydantic models with defaults and limits, and readers."""
