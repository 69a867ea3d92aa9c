"""Ask pip-audit about the packages that are installed: exit code 1 for a known vulnerability.

Where it is not installed, or no advisory service answers, a line says so: pip-audit itself ends
well when it could look at nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

SECONDS = 300


def main() -> int:
    if find_spec("pip_audit") is None:
        print("pip-audit: not installed (pip install pip-audit), so nothing is audited")
        return 0
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--timeout=5"]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner=off"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, subprocess.TimeoutExpired):
        print("pip-audit: no advisory service answers, so nothing is audited")
        return 0
    lines = told(packages)
    print("\n".join(lines))
    return int(len(lines) > 1)


def told(packages: list[dict[str, Any]]) -> list[str]:
    """How many packages a service knew, and a line for each that has a vulnerability."""
    audited = [one for one in packages if "vulns" in one]
    return [f"pip-audit: {len(audited)} of {len(packages)} packages audited"] + [
        f"{one['name']} {one['version']}: {', '.join(found['id'] for found in one['vulns'])}"
        for one in audited
        if one["vulns"]
    ]


if __name__ == "__main__":
    sys.exit(main())
