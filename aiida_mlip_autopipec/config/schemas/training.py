"""Settings of the fit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Seed, StrictSettings

Auto = Literal["auto"]

Speed = Literal["fast", "balanced", "accurate"]


class TrainingConfig(StrictSettings):
    """The Atomic Cluster Expansion (ACE) potential and how it is fitted.

    Settings with the value `auto` are chosen from the training data; the choice and its reason are in `metrics.json`.
    """

    engine: Literal["linear", "nonlinear"] = "linear"
    """`linear` solves for the coefficients directly, in seconds to minutes; `nonlinear` runs pacemaker, the fitting program
    of python-ace, which fits a second density under a square root, in hours."""

    cutoff: Annotated[float, Field(ge=2.0, le=15.0)] | Auto = "auto"
    """Cutoff, in Å: the distance up to which atoms interact, 2 to 15, or `auto`: chosen from 3 to 8 by cross-validation."""

    order: int = Field(default=6, ge=1, le=6)
    """Highest correlation order, 1 to 6: the number of neighbours in a basis function, one less than its body order."""

    n_functions: PositiveInt | Auto = "auto"
    """Number of basis functions of each element, or `auto`: chosen by cross-validation, within limits from the size
    of the data and the cost of the potential, at most `max_functions`."""

    max_functions: PositiveInt = 1200
    """Largest number of basis functions of each element that `auto` chooses: time and memory of the potential grow with it."""

    speed: Speed = "balanced"
    """Computing time of the potential against its errors. `fast` allows a third as many `auto` functions as `balanced`, and has
    fewer radial functions, smaller angular momenta and lower correlation orders; `accurate` allows twice as many functions,
    within `max_functions`. The report shows errors and times with fewer functions."""

    energy_weight: PositiveFloat | Auto = "auto"
    """Weight of an energy (eV, divided by the square root of the number of atoms) against a force component (eV/Å);
    `auto` by cross-validation."""

    force_weight: NonNegativeFloat = 1.0
    """Weight of a force component (eV/Å)."""

    ridge: PositiveFloat | Auto = "auto"
    """Strength of the regularisation of the linear engine, relative to the square of the largest singular value of the problem;
    `auto` by cross-validation."""

    time_limit: PositiveFloat | None = None
    """Maximum time of a fit, in seconds: `n_functions: auto` chooses no more functions than can be fitted in this time, and
    the nonlinear engine stops after it and keeps its last potential. No limit if empty."""

    max_restarts: NonNegativeInt = 5
    """Maximum number of restarts, from its checkpoint, of a fit whose job is killed (walltime, lost node)."""

    embedding: bool = True
    """Linear engine: add one more function for each element, approximately the square root of the density of neighbours,
    which helps to describe metals from dimers to crystals. The choice of functions may remove it."""

    core_repulsion: bool = True
    """Add a pair repulsion at distances shorter than any bond: where the universal nuclear repulsion (ZBL) of a pair exceeds
    30 eV, at most up to the shortest distance in the data."""

    evaluator: Literal["tensorpot", "pyace"] = "tensorpot"
    """Nonlinear engine: evaluator of the loss. `tensorpot` needs tensorflow where the fit runs; `pyace` does not, but has
    no analytic gradients: only for a few functions."""

    max_epochs: PositiveInt = 1000
    """Nonlinear engine: largest number of iterations of the optimiser."""

    batch_size: PositiveInt = 10
    """Nonlinear engine with tensorpot: number of structures evaluated at the same time. Larger batches need more memory, and
    are faster only on a GPU."""

    test_fraction: float = Field(default=0.1, ge=0.0, le=0.9)
    """Fraction of the structures that is kept for the test set, 0 to 0.9."""

    seed: Seed = 42
    """Seed of the division into training and test sets."""
