"""Stored datasets by name."""

from __future__ import annotations

import pytest
from aiida.manage.configuration import Profile

from aiida_mlip_autopipec.dataset.library import load_dataset


@pytest.mark.parametrize("name", ["nothing", "Cu²", "²"])
def test_the_name_of_no_dataset_is_an_error(aiida_profile: Profile, name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is not a dataset, run or trajectory"):
        load_dataset(name)
