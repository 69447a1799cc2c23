"""Jinja2 templates of the artefacts that vimha renders, a folder per artefact."""
