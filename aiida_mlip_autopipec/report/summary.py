"""The verdict of the report as a few lines of text."""

from __future__ import annotations

import textwrap

from .diagnosis import Finding, TrainTestErrors
from .findings import all_findings, verdict
from .model import Subject

MAX_LENGTH = 240
"""Maximum length of a finding; longer ones are cut at a word."""


def summary(subject: Subject) -> list[str]:
    """Return the verdict on a potential, and the findings that it counts, each with its advice."""
    findings = all_findings(subject)
    level, in_words = verdict(findings, TrainTestErrors.of(subject).level)
    counted = [finding for finding in findings if finding.level == level] if level != "good" else []
    return [in_words, *(line for finding in counted for line in _lines(finding))]


def _lines(finding: Finding) -> list[str]:
    text = textwrap.shorten(finding.text, MAX_LENGTH, placeholder=" ...")
    return [f"  - {text}", *([f"    -> {finding.advice}"] if finding.advice else [])]
