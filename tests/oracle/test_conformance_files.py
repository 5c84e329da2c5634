"""The command against files written by other software: no wrong value, no crash, nothing accepted that must be refused."""
import os
import pathlib
import subprocess
import sys

directory = pathlib.Path(os.environ["MORSEL_CONFORMANCE_DIR"])
command = os.environ.get("MORSEL_COMMAND")
if not command or not (directory / "check.py").exists():
    print("skipped: no command" if not command else f"skipped: no collection in {directory}")
    sys.exit(77)
sys.exit(subprocess.run([sys.executable, directory / "check.py", command, directory, directory / "expected.json"]).returncode)
