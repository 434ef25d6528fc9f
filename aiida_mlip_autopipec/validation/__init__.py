"""Validation: properties by the potential and by its oracle on the same structures, with limits and a verdict."""
