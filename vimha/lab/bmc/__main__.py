"""`python -m vimha.lab.bmc LAB CONFIG`: the BMC process of a lab; started by `vimha.lab.bmc.start`."""

import sys
from pathlib import Path

from vimha.errors import VimhaError
from vimha.lab.bmc.config import BmcConfig
from vimha.lab.bmc.server import serve


def main(argv: list[str]) -> int:
    """Serve until SIGTERM; 1 with one line on standard error when that is impossible."""
    from vimha.lab.labs import Lab

    name, config = argv
    try:
        serve(Lab.open(name).power, BmcConfig.load(Path(config)))
    except VimhaError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
