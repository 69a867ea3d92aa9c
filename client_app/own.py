"""What a factory's node-config says is its own: a folder, and a policy if it has one.

The gate asks before an app is unpacked, and the app asks again: both by this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.permits.rules import Policy
from fedad.plumbing.files import cache_root, expanded
from fedad.policy import policy_for


def folder_of(node_config: Mapping[str, Any]) -> Path:
    """The site's own folder: `output-dir`, or one below the home folder."""
    name = str(node_config.get("site", "nobody"))
    return expanded(str(node_config.get("output-dir") or cache_root() / "sites" / name))


def ledgers_of(node_config: Mapping[str, Any]) -> Path:
    """Where the site's account of what it released is, for ever: `ledger`, or a folder in its own
    that outlasts every run."""
    return expanded(str(node_config.get("ledger") or folder_of(node_config) / "ledger"))


def mirror_of(node_config: Mapping[str, Any]) -> Path | None:
    """Where a second copy of the account follows it, on another disk: `ledger-mirror`, if any."""
    told = str(node_config.get("ledger-mirror") or "")
    return expanded(told) if told else None


def policy_of(node_config: Mapping[str, Any], run: str) -> Policy:
    """The policy that node-config names, or the defaults.

    Raises:
        ConfigError: it cannot be read; the audit in the site's folder says why.
    """
    path = str(node_config.get("policy", ""))
    return policy_for(run, Path(path) if path else None, folder_of(node_config))
