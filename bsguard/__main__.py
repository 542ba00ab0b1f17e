"""``python -m bsguard``: the command line without Flask."""

from __future__ import annotations

from bsguard.cli import main

if __name__ == "__main__":
    main(prog_name="python -m bsguard")
