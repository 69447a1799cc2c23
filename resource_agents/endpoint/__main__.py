"""The health endpoint's command line. The agent ocf:vimha:health starts it by this file's path, for `python3 -I` looks
for no package in its folder, and `-m` would.
"""

import argparse
import sys

LIBRARY = __file__.removesuffix("/resource_agents/endpoint/__main__.py")


def main() -> None:
    """Listen, and serve until killed; exit code 1 and one line when the address is not to be had."""
    if LIBRARY not in sys.path:
        sys.path.insert(0, LIBRARY)
    from resource_agents.endpoint.looks import GaleraLook, RabbitmqLook
    from resource_agents.endpoint.server import Server, listen
    from resource_agents.endpoint.watch import Look
    from resource_agents.ocf.http import parse_target

    options = _options()
    looks: dict[str, Look] = {}
    if options.galera:
        looks["/galera"] = GaleraLook(
            options.galera, options.account, donor_s=options.donor, datadir=options.datadir
        )  # fmt: skip
        looks["/galera/any"] = GaleraLook(options.galera, options.account, donor_s=options.donor)
    if options.rabbitmq:
        management = parse_target(options.management)[:2] if options.management else None
        looks["/rabbitmq"] = RabbitmqLook(parse_target(options.rabbitmq)[:2], management)
    try:
        listener = listen(*parse_target(options.listen)[:2])
    except (OSError, ValueError) as error:
        sys.exit(f"cannot listen at {options.listen}: {error}")
    Server(listener, looks).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vimha-health", description="Health of this node's services, by HTTP.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--galera", default="", metavar="SOCKET")
    parser.add_argument("--account", default="mysql", metavar="NAME")
    parser.add_argument("--datadir", default="", metavar="FOLDER")
    parser.add_argument("--donor", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--rabbitmq", default="", metavar="ADDRESS:PORT")
    parser.add_argument("--management", default="", metavar="ADDRESS:PORT")
    return parser.parse_args()


if __name__ == "__main__":
    main()
