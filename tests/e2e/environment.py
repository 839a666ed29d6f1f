#!/usr/bin/env python3
"""Runs a Python file of this folder where the clients of requirements.txt are installed.

    environment.py prepare                     makes the environment; nothing to do when it is there
    environment.py run FILE [ARGUMENTS…]       becomes FILE inside it

The environment is a venv in $PRECIS_CACHE_DIR (./dev sets it), or else in the user's cache, and is named after what decides its content, so a
changed requirements.txt makes a new one. It is built aside and renamed: an interrupted pip leaves nothing half-made.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def cache_folder() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "precis"
    folder = Path(os.environ.get("PRECIS_CACHE_DIR", default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def environment() -> Path:
    content = REQUIREMENTS.read_bytes() + sys.version.encode()
    return cache_folder() / f"e2e-{hashlib.sha256(content).hexdigest()[:12]}"


def prepare() -> Path:
    target = environment()
    with open(cache_folder() / "e2e.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            # A venv cannot be moved once its scripts bear its path; python -m works wherever it lies.
            draft = Path(tempfile.mkdtemp(prefix="e2e-new-", dir=target.parent))
            try:
                subprocess.run([sys.executable, "-m", "venv", draft], check=True)
                subprocess.run([draft / "bin/python", "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
                draft.rename(target)
            except subprocess.CalledProcessError:
                shutil.rmtree(draft)
                sys.exit("environment.py: pip could not install the clients of requirements.txt; does its package index answer?")
    return target


def main() -> None:
    if sys.argv[1:] == ["prepare"]:
        print(prepare())
    elif len(sys.argv) >= 3 and sys.argv[1] == "run":
        python = prepare() / "bin/python"
        os.execv(python, [str(python), *sys.argv[2:]])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
