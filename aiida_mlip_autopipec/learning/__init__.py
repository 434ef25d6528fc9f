"""Active learning: calibration of the extrapolation grade, history of the rounds, stop criteria."""
