"""The sections of the page about a network that composes elements of a group."""
