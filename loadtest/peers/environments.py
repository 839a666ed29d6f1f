"""Python environments with the peers, made once from the package index that pip is configured for.

They live in $PRECIS_PEERS_DIR, or else in the user's cache; a finished one has a file .done in it, an interrupted one is made anew.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "precis/peers"
FOLDER = Path(os.environ.get("PRECIS_PEERS_DIR", DEFAULT))


def environment(name: str) -> Path:
    """The folder of the environment `name` (runtimes, triton) with what its requirements file lists. Ends the program where pip fails."""
    folder = FOLDER / name
    if (folder / ".done").exists():
        return folder
    print(f"peers: installing {name} into {folder} (once, some minutes)", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    install = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / f"requirements.{name}.txt"]
    for command in ([sys.executable, "-m", "venv", folder], install):
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            sys.exit(f"peers: {name} could not be installed; does pip's package index answer, and is this Python 3.10 to 3.13?")
    (folder / ".done").touch()
    return folder
