"""What the operator declares: the model of site.yaml, its loading with line numbers, and its findings."""
