"""Failover, timed: vimha's site against its bars, against the same lab with default timings, and against keepalived.

Run as root: `python tests/bench/bench_failover.py [--rounds 10]`. One run makes all figures, on one machine, with one
kind of probe. Prints two tables; writes reports/bench-failover.json. Exit 1 when a bar is missed.
keepalived has neither fencing nor quorum: it is compared for the VIP's move alone, with advert_int 1, its default.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vimha.drill import session
from vimha.drill.outage import between, longest, windows
from vimha.drill.probes import Prober, Target
from vimha.drill.session import Order
from vimha.drill.verdict import Outcome
from vimha.lab.cabling import CLIENT
from vimha.lab.labs import Lab
from vimha.process import spawn
from vimha.site.loading import load_valid
from vimha.site.model import Pinned, Site

ROOT = Path(__file__).parents[2]
SETTLE_S = 8.0
"""keepalived at advert_int 1 has elected a master, and sent its announcements, after 3 x 1 s + skew."""


@dataclass(frozen=True)
class Bar:
    """What an order must reach: its worst outage, and its median where one is asked for."""

    what: str
    order: Order
    worst_s: float
    p50_s: float | None = None


def bars(rounds: int) -> tuple[Bar, ...]:
    """The figures that the project promises."""
    few = max(1, rounds // 3)
    return (
        Bar("active node (DC) powered off", Order("node-power-off", rounds, want_dc=True), 3.0, 2.0),
        Bar("active node frozen", Order("node-freeze", few), 5.0),
        Bar("active node partitioned", Order("partition", few), 5.0),
        Bar("haproxy killed", Order("service-kill", few), 1.5),
        Bar("API killed", Order("service-kill", few, service="glance-api"), 1.5),
        Bar("haproxy frozen", Order("service-freeze", few), 4.0),
        Bar("API frozen", Order("service-freeze", few, service="glance-api"), 4.0),
        Bar("planned switchover", Order("switchover", few), 1.0),
        Bar("one port lost", Order("port-down", few), 3.0),
        Bar("one plane lost", Order("plane-down", few), 3.0),
    )


def defaults(site: Site) -> Site:
    """`site` with Corosync's default token and the shell agents' default monitor interval (IPaddr2: 10 s)."""
    pinned = Pinned.model_validate(
        {"token": "3s", "token_coefficient": "650ms", "consensus": "4380ms", "monitor_interval": "10s"}
    )
    return site.model_copy(update={"timings": pinned, "objective": 60_000})


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def keepalived_conf(site: Site, node: str) -> str:
    """One of three keepalived peers, all defaults but the addresses (VRRPv2, advert_int 1, unicast)."""
    plane = site.plane_of(next(iter(site.vips)))
    own = site.nodes[node].addresses[plane]
    peers = "\n ".join(str(entry.addresses[plane]) for name, entry in site.nodes.items() if name != node)
    vip = next(iter(site.vips.values())).address
    device = site.interface(node, plane)
    priority = 110 - 5 * list(site.nodes).index(node)
    return f"""vrrp_instance V1 {{
 state BACKUP
 interface {device}
 virtual_router_id 77
 priority {priority}
 advert_int 1
 unicast_src_ip {own}
 unicast_peer {{
 {peers}
 }}
 virtual_ipaddress {{
 {vip}/24 dev {device}
 }}
}}
"""


def haproxy_conf(site: Site) -> str:
    """A service behind the VIP that answers by itself: the comparison is about the VIP."""
    port = next(iter(site.services.values())).port
    return f"""defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend api
 bind *:{port}
 http-request return status 200 content-type text/plain string ok
"""


def keepalived(site: Site, rounds: int) -> list[float]:
    """The outage of each power-off of keepalived's master, on the same machines with Pacemaker stopped."""
    vip = next(iter(site.vips.values())).address
    port = next(iter(site.services.values())).port
    found = []
    for number in range(rounds):
        with ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vimha-bench-")))
            lab = stack.enter_context(session.lab_for(site, None, say))
            for node in site.nodes:
                lab.runner(node)(["systemctl", "stop", "pacemaker", "corosync"], timeout_s=60)
            for node in site.nodes:
                for daemon in start_pair(lab, site, node, work):
                    stack.callback(stop, daemon)
            time.sleep(SETTLE_S)
            master = next(iter(site.nodes))
            target = Target("vip", "http", str(vip), port)
            with Prober(lab.netns(CLIENT), [target], work / "probes") as prober:
                time.sleep(1)
                fault = time.monotonic()
                lab.power.off(master)
                time.sleep(SETTLE_S)
                worst = longest(between(windows(prober.read()["vip"]), fault, time.monotonic()))
            found.append(worst.length_s if worst else 0.0)
            say(f"keepalived round {number + 1}/{rounds}: {found[-1]:.2f} s")
    return found


def start_pair(lab: Lab, site: Site, node: str, work: Path) -> list[subprocess.Popen[bytes]]:
    """haproxy and keepalived of this host in `node`'s network namespace: what they speak is all that counts here."""
    (work / f"{node}.ka").write_text(keepalived_conf(site, node))
    (work / f"{node}.hap").write_text(haproxy_conf(site))
    inside = ["ip", "netns", "exec", lab.netns(node)]
    pids = ["-p", str(work / f"{node}.pid"), "-r", str(work / f"{node}.vrrp")]
    return [
        spawn([*inside, "haproxy", "-db", "-f", str(work / f"{node}.hap")]),
        spawn([*inside, "keepalived", "--vrrp", "-n", *pids, "-f", str(work / f"{node}.ka")]),
    ]


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def report(measured: list[tuple[Bar, Outcome]], others: dict[str, list[float]]) -> bool:
    """Print both tables and write the JSON; False when a bar was missed."""
    print(f"{'what':<34}{'rounds':>7}{'p50':>9}{'worst':>9}{'bar':>9}{'budget':>9}  split brain  met")
    good = True
    for bar, outcome in measured:
        met = outcome.worst_s < bar.worst_s and (bar.p50_s is None or outcome.p50_s <= bar.p50_s)
        met = met and not outcome.split_brain
        good = good and met
        brain, verdict = "YES" if outcome.split_brain else "none", "yes" if met else "NO"
        print(
            f"{bar.what:<34}{len(outcome.rounds):>7}{outcome.p50_s:>8.2f}s{outcome.worst_s:>8.2f}s{bar.worst_s:>8.2f}s"
            f"{outcome.budget_worst_s or 0:>8.2f}s  {brain:<11}  {verdict}"
        )
    own = measured[0][1].worst_s
    print(f"\n{'power off of the active node':<34}{'worst':>9}{'ratio':>9}")
    print(f"{'vimha':<34}{own:>8.2f}s{1:>9.2f}")
    for name, outages in others.items():
        print(f"{name:<34}{max(outages):>8.2f}s{max(outages) / own:>9.2f}")
    data = {
        "bars": [{"what": b.what, "worst_s": b.worst_s, "p50_s": b.p50_s, "drill": o.as_dict()} for b, o in measured],
        "others": others,
    }
    path = ROOT / "reports" / "bench-failover.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--site", type=Path, default=ROOT / "examples" / "site-small.yaml")
    options = parser.parse_args()
    site = load_valid(options.site)
    chosen = bars(options.rounds)
    outcomes, _ = session.play(site, [bar.order for bar in chosen], say)
    few = max(1, options.rounds // 3)
    (slow,), _ = session.play(defaults(site), [Order("node-power-off", few, want_dc=True)], say)
    others = {"defaults of Corosync and agents": list(slow.outages), "keepalived, advert_int 1": keepalived(site, few)}
    return 0 if report(list(zip(chosen, outcomes, strict=True)), others) else 1


if __name__ == "__main__":
    sys.exit(main())
