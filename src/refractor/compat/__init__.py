"""Old import names, for people who come with a notebook."""
