"""Helper names of notebooks that people have, one module for each."""
