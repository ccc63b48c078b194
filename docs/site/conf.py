"""Settings of the documentation site: ``make docs`` builds it into ``docs/_build``, without a network.

The source folder is the root of the repository. So every Markdown page is where a forge shows it, a link between two
pages is the same relative path in both places, and the reports of ``benchmarks/`` are pages without being copied.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "src")]

import api  # noqa: E402
import links  # noqa: E402

import gradvitals  # noqa: E402

project = "gradvitals"
author = "the contributors of gradvitals"
copyright = author
version = release = gradvitals.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = ["docs/**", "benchmarks/*.md", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = ["docs/_build", "docs/site"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
nitpicky = True
# Other packages are named in signatures and docstrings; their pages are on the network, which a build does not need.
OTHERS = (
    *("torch", "nn", "np", "numpy", "pd", "pandas", "polars", "matplotlib", "lightning", "transformers", "accelerate"),
    *("collections", "contextlib", "dataclasses", "enum", "logging", "os", "pathlib", "typing"),
)
# What a signature names by a name that only type checkers import.
UNQUALIFIED = (
    *("Tensor", "Module", "Figure", "Axes", "DeviceMesh", "Loss", "OptimizerFactory", "Measured", "Session", "Profile"),
    *("Preparation", r"dict\[str", r"list\[tuple\[int"),
)
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(OTHERS)})\..*"),
    (r"py:class", rf"({'|'.join(UNQUALIFIED)})"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of Lightning's hooks are Lightning's
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_ivar = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "gradvitals"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Writes the pages of the API reference before Sphinx reads them, and resolves what only this site must resolve."""
    app.connect("builder-inited", lambda app: api.write(Path(app.srcdir)))
    app.connect("autodoc-process-docstring", api.one_name_a_line, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", api.readable_defaults)
    app.connect("missing-reference", api.public_place)
    app.connect("source-read", links.without_folders)
    app.connect("build-finished", links.entrance)
