"""Refractor takes trained transformers apart: exactly, fast, and in memory that a laptop has."""
