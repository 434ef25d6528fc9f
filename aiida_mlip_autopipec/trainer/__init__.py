"""Datasets in files, and fits without AiiDA."""
