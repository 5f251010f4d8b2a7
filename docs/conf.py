"""How Sphinx builds these pages: sphinx-build -W -b html docs docs/_build."""

from __future__ import annotations

import typing
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from clusters.config import ClusterConfig
from clusters.kinds import kind_named
from dhpo import __version__

project = "dhpo"
author = "dhpo contributors"
copyright = "dhpo contributors"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser"]
exclude_patterns = ["_build"]
smartquotes = False  # keys and values are code
html_theme = "furo"
html_title = f"dhpo {release}"

autodoc_typehints = "none"  # numpydoc has them in words
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
myst_heading_anchors = 3


class ClusterKeys(SphinxDirective):
    """A table of the keys of a kind of cluster, from the models that check them; without a kind of those all share."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        model: Any = ClusterConfig
        if self.arguments:
            kind = self.arguments[0]
            block = kind_named(kind).config.model_fields[kind].annotation
            model = next((a for a in typing.get_args(block) if hasattr(a, "model_fields")), block)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 20 80", "", "   * - key", "     - what it is"]
        for name, field in model.model_fields.items():
            default = "" if field.is_required() or field.default in (None, {}, ()) else f" (``{field.default!r}``)"
            needed = " (needed)" if field.is_required() and name != "kind" else ""
            text = (field.description or "").replace("*", r"\*")
            lines += [f"   * - ``{name}``", f"     - {text}{default}{needed}"]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source="cluster-keys"), self.content_offset, container)
        return container.children


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("cluster-keys", ClusterKeys)
