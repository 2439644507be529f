"""Sphinx's settings."""

from importlib.metadata import version as version_of

from docutils import nodes
from latex2mathml.converter import convert

project = "skdepict"
author = "The skdepict developers"
copyright = author
release = version_of("skdepict")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "skdepict"
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"api": [], "changelog": [], "contributing": []}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["style.css"]

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
extlinks = {"arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s")}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "plot_gallery": "True",
    "abort_on_example_error": True,
    # Seconds differ from machine to machine, and pages should not.
    "min_reported_time": 1e9,
    "write_computation_times": False,
}

suppress_warnings = ["config.cache"]

html_math_renderer = "mathml"


def setup(app):
    """Write equations as MathML, which needs no script from elsewhere."""
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))


def write_math(translator, node):
    """An equation of a text, or one by itself."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    text = node.astext()
    if "&" in text or "\\\\" in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    translator.body.append(convert(text, display=display))
    raise nodes.SkipNode
