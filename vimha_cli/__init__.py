"""The `vimha` command: parse, call the library, print. No decisions are made here."""
