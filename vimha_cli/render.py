"""`vimha render`: write every artefact of a site."""

from pathlib import Path

import click

from vimha_cli.output import print_findings, site_argument


@click.command()
@site_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("rendered"),
    show_default=True,
    help="The folder to write to; its corosync.authkey is made once and kept.",
)
@click.option("--node", help="Only this node's files, as a tree below OUT/NODE.")
@click.pass_context
def render(ctx: click.Context, site_file: Path, out: Path, node: str | None) -> None:
    """Write the CIB, corosync.conf, haproxy.cfg and what else the nodes of SITE need.

    \b
      vimha render site.yaml                  rendered/cib.xml, rendered/NODE/etc/...
      vimha render site.yaml --node c1        only rendered/c1/etc/...

    The files of a node go to its root: `cp -a rendered/c1/. /`. Keep corosync.authkey secret, and keep it: a cluster
    whose nodes have different keys falls apart.
    """
    from vimha.errors import UsageError
    from vimha.render.render import render as make
    from vimha.render.render import write, write_node
    from vimha.render.schema import check_schema
    from vimha.render.secrets import corosync_authkey
    from vimha.site.loading import load_valid
    from vimha.timing.solve import solve

    site = load_valid(site_file)
    if node and node not in site.nodes:
        raise UsageError(f"{site_file} has no node {node}", f"Its nodes are {', '.join(site.nodes)}.")
    rendered = make(site, solve(site), corosync_authkey(out))
    findings = check_schema(rendered.cib.content)
    if findings:
        print_findings(findings, "text")
        ctx.exit(1)
    for path in write_node(rendered.nodes[node], out / node) if node else write(rendered, out):
        click.echo(path)
