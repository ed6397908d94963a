"""The command line: `refractor report`, `refractor train`, `refractor measure`."""
