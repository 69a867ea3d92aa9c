"""Folders of this process's alone: nobody else may change what is in them or put another there.

Each is locked for as long as its process lives, so one that nobody holds is what a killed process
left, and goes when the next one is made.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from fedad.errors import ConfigError
from fedad.plumbing.files import FOLDER_MODE, private_folder


def fresh_folder(parent: Path, kind: str, *, over_exec: bool = False) -> Path:
    """Make an empty folder below `parent`, mode 0700; what killed processes left there is removed.

    Args:
        kind: what its name begins with.
        over_exec: whether the program that this process becomes holds it too.

    Raises:
        ConfigError: somebody else may rename or replace `parent` or a folder above it.
        OSError: it cannot be made or locked.
    """
    parent = private_folder(parent.absolute()).resolve()
    for folder in (parent, *parent.parents):
        if told := _open_to(folder):
            raise ConfigError(
                f"{folder}: {told}: expected a folder that only its owner changes, so that the "
                f"programs in {parent} are ours: chmod go-w, or set XDG_CACHE_HOME to another"
            )
    parent.chmod(FOLDER_MODE)
    keeper = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(keeper, fcntl.LOCK_EX)
        for old in parent.iterdir():
            if old.is_dir() and not old.is_symlink():
                _remove_if_left(old)
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=parent))
        os.set_inheritable(_locked(folder), over_exec)
    finally:
        os.close(keeper)
    return folder


def _locked(folder: Path) -> int:
    """A handle that holds a folder until this process, and what it becomes, has ended."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _remove_if_left(folder: Path) -> None:
    try:
        handle = _locked(folder)
    except OSError:  # its process lives
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.close(handle)


def _open_to(folder: Path) -> str:
    """Who else may put something in a folder's place; empty if nobody may."""
    there = folder.stat()
    if there.st_uid not in (0, os.geteuid()):
        return f"belongs to user {there.st_uid}"
    if there.st_mode & stat.S_ISVTX:  # as /tmp: nobody renames what is another's
        return ""
    if there.st_mode & stat.S_IWOTH:
        return "every user may change it"
    if there.st_mode & stat.S_IWGRP and not _alone(there.st_gid, there.st_uid):
        return f"group {there.st_gid} may change it"
    return ""


def _alone(group: int, user: int) -> bool:
    """Whether a group is a user's own and has nobody else in it, as most systems make them."""
    try:
        owner, members = pwd.getpwuid(user), grp.getgrgid(group).gr_mem
    except KeyError:
        return False
    others = [one for one in pwd.getpwall() if one.pw_gid == group and one.pw_uid != user]
    return owner.pw_gid == group and not others and {*members} <= {owner.pw_name}
