"""What a user may write: pydantic models, the only place for settings, defaults and limits."""
