"""The web page: active alarms, one of them, the history with its chart; for a person before a browser.

Invariant: the server makes all of it, and all of it works without JavaScript but the updates as they happen; every text
of an alarm is escaped by the templates, and the Content-Security-Policy allows nothing that is not a file of ours.
"""
