"""From elements and a reference method to an Atomic Cluster Expansion potential, every step an AiiDA process."""

__version__ = "0.1.0"
