"""Words that everyone shares: axes, errors, checks, precision, budgets, files."""
