"""Configuration of the documentation: `sphinx-build -W docs docs/_build/html`; it needs no network."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.metadata import version as version_of
from pathlib import Path

# Importing AiiDA creates its configuration folder: keep that out of the home of whoever builds the documentation.
os.environ.setdefault("AIIDA_PATH", tempfile.mkdtemp(prefix="aiida-docs-"))
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "aiida-mlip-autopipec"
author = "The aiida-mlip-autopipec developers"
copyright = author
release = version_of(project)
version = release

extensions = ["myst_parser", "sphinx_click", "generated_reference", "mathml"]
exclude_patterns = ["_build", "_ext", "*.py"]
nitpicky = True
# Options such as `--validate` stay as they are typed.
smartquotes = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = True

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["page.css"]
# The repository is that of `project.urls`.
html_theme_options = {
    "source_repository": "https://github.com/aiida-mlip-autopipec/aiida-mlip-autopipec/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_math_renderer = "mathml"
# Links within the documentation are checked; other pages are not, since that needs a network.
linkcheck_ignore = [r"https?://"]
