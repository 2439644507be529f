"""Sphinx's settings."""

from importlib.metadata import version as version_of

project = "skdepict"
author = "The skdepict developers"
copyright = author
release = version_of("skdepict")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
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
}

suppress_warnings = ["config.cache"]
