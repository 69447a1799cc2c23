"""Notifications as SOL003 has them on the wire (7.5.2.5 to 7.5.2.7).

Invariant: `id` and `timeStamp` are the outbox's: the same for all subscribers and all repetitions. The alarm is the
text that was kept, with links added; it is not parsed again.
"""

import json

from vimha.alarms import times
from vimha.alarms.store.outbox import Notice
from vimha.alarms.words import NotificationType


def message(notice: Notice, subscription_id: str, root: str) -> bytes:
    """The JSON text for one subscriber; `root` is what links begin with."""
    links = {"subscription": {"href": f"{root}/subscriptions/{subscription_id}"}}
    head = {
        "id": notice.id,
        "notificationType": notice.kind,
        "subscriptionId": subscription_id,
        "timeStamp": times.text(notice.at_us),
    }
    own = {"href": f"{root}/alarms/{notice.alarm_id}"}
    if notice.kind == NotificationType.ALARM:
        return _text({**head, "_links": links}, alarm=linked(notice.body, {"self": own})).encode()
    if notice.kind == NotificationType.CLEARED:
        cleared = json.loads(notice.body)["alarmClearedTime"]
        more = {"alarmId": notice.alarm_id, "alarmClearedTime": cleared, "_links": {**links, "alarm": own}}
        return _text({**head, **more}).encode()
    if notice.kind == NotificationType.REBUILT:
        return _text({**head, "_links": {**links, "alarms": {"href": f"{root}/alarms"}}}).encode()
    return _text({**head, **json.loads(notice.body), "_links": links}).encode()


def linked(body: str, links: object) -> str:
    """The JSON object `body` (a text, not empty) with `_links`."""
    return f'{body[:-1]},"_links":{json.dumps(links)}}}'


def _text(record: dict[str, object], **texts: str) -> str:
    """The JSON object of `record` and of `texts`, which are JSON already."""
    more = "".join(f',"{name}":{text}' for name, text in texts.items())
    return json.dumps(record, ensure_ascii=False)[:-1] + more + "}"
