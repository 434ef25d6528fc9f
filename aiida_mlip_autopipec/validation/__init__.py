"""A potential against its own oracle: the structures to compare on, and what follows from both sides' labels."""
