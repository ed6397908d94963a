"""The sections of a page, one file each: from an analysis to figures."""
