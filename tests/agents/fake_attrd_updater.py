"""A fake of attrd_updater for tests: a file per attribute instead of Pacemaker's attribute daemons, in one total order.

Called as: fake_attrd_updater.py FOLDER NODE [attrd_updater's own options].
"""

import argparse
import fcntl
import json
import sys
from pathlib import Path


def main() -> int:
    folder, node, *rest = sys.argv[1:]
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--update")
    parser.add_argument("--node", default=node)
    for option in ("--query", "--all", "--delete", "--private"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args(rest)
    path = Path(folder) / options.name
    with (Path(folder) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        values = json.loads(path.read_text()) if path.exists() else None
        if options.query:
            for host, value in (values or {}).items():
                print(f'name="{options.name}" host="{host}" value="{value}"')
            return 105 if values is None else 0
        values = values or {}
        if options.delete:
            values.pop(options.node, None)
        else:
            values[options.node] = options.update
        path.write_text(json.dumps(values))
    return 0


sys.exit(main())
