"""The table of a validation."""

from __future__ import annotations

from aiida_mlip_autopipec.cli.verdict import verdict_lines


def test_table_of_checks_has_marks_reasons_and_counts() -> None:
    check = {
        "name": "bulk_modulus",
        "structure": "Cu fcc",
        "quantity": "B",
        "unit": "GPa",
        "potential": 150.0,
        "oracle": None,
        "deviation": None,
        "limit": 0.1,
        "passed": False,
        "reason": "oracle: no label",
    }
    lines = list(verdict_lines({"checks": [check], "settings": {"relative": ["bulk_modulus"]}, "passed": False}))
    assert lines[-3].startswith("✗ Cu fcc") and lines[-3].endswith("10.0 %")
    assert lines[-2].strip() == "bulk modulus: B: oracle: no label"
    assert lines[-1] == "0 of 1 checks passed."
    unstable = {**check, "passed": None, "reason": "not comparable: Cu sc is elastically unstable"}
    lines = list(verdict_lines({"checks": [{**check, "passed": True}, unstable], "settings": {}, "passed": True}))
    assert lines[-3].startswith("○ Cu fcc") and lines[-2].endswith("not comparable: Cu sc is elastically unstable")
    assert lines[-1] == "The only check passed. 1 is not comparable."
