"""Files of jobs as nodes: writing of settings, reading of arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.orm import SinglefileData


def text_file(name: str, content: str) -> SinglefileData:
    """Return a node with text."""
    return SinglefileData(io.BytesIO(content.encode()), filename=name)


def json_file(name: str, content: Mapping[str, Any]) -> SinglefileData:
    """Return a node with settings as JSON."""
    return text_file(name, json.dumps(content))


def read_arrays(node: SinglefileData) -> dict[str, np.ndarray]:
    """Return the arrays of an `.npz` file, which must not contain pickled objects."""
    with np.load(io.BytesIO(node.get_content(mode="rb")), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
