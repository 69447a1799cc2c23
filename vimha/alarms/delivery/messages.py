"""Notifications as SOL003 has them on the wire (7.5.2.5 to 7.5.2.7).

Invariant: `id` and `timeStamp` are the outbox's: the same for all subscribers and all repetitions. The alarm is the
text that was kept, with links added; it is not parsed again.
"""

import json
from collections.abc import Mapping

from vimha.alarms import times
from vimha.alarms.store.outbox import Notice
from vimha.alarms.words import NotificationType


def message(notice: Notice, subscription_id: str, root: str) -> bytes:
    """The JSON text for one subscriber; `root` is what links begin with."""
    text = (
        f'{{"id":"{notice.id}","notificationType":"{notice.kind}","subscriptionId":"{subscription_id}",'
        f'"timeStamp":"{times.text(notice.at_us)}"}}'
    )
    links = {"subscription": f"{root}/subscriptions/{subscription_id}"}
    own = f"{root}/alarms/{notice.alarm_id}"
    if notice.kind == NotificationType.ALARM:
        text = joined(text, f'{{"alarm":{linked(notice.body, {"self": own})}}}')
    elif notice.kind == NotificationType.CLEARED:
        cleared = json.loads(notice.body)["alarmClearedTime"]
        text = joined(text, f'{{"alarmId":"{notice.alarm_id}","alarmClearedTime":"{cleared}"}}')
        links["alarm"] = own
    elif notice.kind == NotificationType.REBUILT:
        links["alarms"] = f"{root}/alarms"
    else:
        text = joined(text, notice.body)
    return linked(text, links).encode()


def linked(body: str, links: Mapping[str, str]) -> str:
    """The JSON object `body` with `_links`: name -> href, an ASCII URI without quotes."""
    found = ",".join(f'"{name}":{{"href":"{href}"}}' for name, href in links.items())
    return joined(body, f'{{"_links":{{{found}}}}}')


def joined(one: str, other: str) -> str:
    """One JSON object of two, neither of them empty; texts all of them, which are not parsed for it."""
    return f"{one[:-1]},{other[1:]}"
