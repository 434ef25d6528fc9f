"""The science of `select_structures`: which structures are worth a label, before any label is known."""
