"""`vimha validate`: every finding about a site, or about any Pacemaker cluster."""

from pathlib import Path

import click

from vimha.errors import UsageError
from vimha.findings import errors
from vimha_cli.output import format_option, print_findings

LIVE = "live"


@click.command()
@click.argument("site_file", metavar="[SITE]", required=False, type=click.Path(path_type=Path))
@click.option("--cib", metavar="FILE|live", help="A cluster's CIB instead of a site; `live`: the cluster of this node.")
@click.option(
    "--corosync", metavar="FILE", type=click.Path(path_type=Path), help="A corosync.conf, with or without --cib."
)
@format_option
@click.pass_context
def validate(ctx: click.Context, site_file: Path | None, cib: str | None, corosync: Path | None, output: str) -> None:
    """Check SITE, or a cluster that is configured already, and print every finding at once.

    A site: its file, its timings, and the artefacts that it renders to. A cluster: the known traps in its CIB and
    corosync.conf, whoever wrote them. In both, Pacemaker's scheduler is asked what it would do when each node is
    lost, each VIP's ports die, and each kind of monitor fails. Nothing is changed.

    Exit 0 without findings of severity error, 1 with, 2 when an input cannot be read.

    \b
    Examples:
      vimha validate site.yaml
      vimha validate --cib cib.xml --corosync corosync.conf
      vimha validate --cib live --format json | jq -r '.findings[].code'
    """
    from vimha.cluster import validate as checks
    from vimha.process import run

    if site_file is not None and (cib or corosync):
        raise UsageError("SITE is checked with its own artefacts", "Give SITE, or --cib and --corosync.")
    if site_file is not None:
        findings = checks.validate_site(site_file)
    elif cib == LIVE:
        findings = checks.validate_live(run, corosync)
    elif cib or corosync:
        findings = checks.validate_files(Path(cib) if cib else None, corosync)
    else:
        raise UsageError("nothing to check", "Give SITE, --cib FILE, --cib live or --corosync FILE.")
    print_findings(findings, output)
    ctx.exit(1 if errors(findings) else 0)
