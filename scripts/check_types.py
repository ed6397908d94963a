"""Run pyright with the project's settings, and say how many files it looked at: a check of nothing must not look green.

python scripts/check_types.py
"""

import json
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Print every finding and a summary; return the exit status."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(Path(__file__).parents[1])]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        result = json.loads(run.stdout)
    except json.JSONDecodeError:
        print(run.stdout + run.stderr, file=sys.stderr)
        return run.returncode or 1
    for finding in result["generalDiagnostics"]:
        place = finding["range"]["start"]
        line, column = place["line"] + 1, place["character"] + 1
        rule = finding.get("rule", "syntax")
        print(f"{finding['file']}:{line}:{column}: {finding['severity']}: {finding['message']} ({rule})")
    summary = result["summary"]
    count = summary["filesAnalyzed"]
    print(f"pyright {result['version']}: {count} files checked, {summary['errorCount']} errors")
    return 1 if summary["errorCount"] or summary["warningCount"] or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
