"""Finite groups, exactly: tables, families, representations."""

from refractor.groups.families import alternating, cyclic, dihedral, symmetric
from refractor.groups.group import Group

__all__ = ["Group", "alternating", "cyclic", "dihedral", "symmetric"]
