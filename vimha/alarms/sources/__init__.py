"""What others say of a fault, turned into Events: one file per shape.

Invariant: pure: text in, Events out, or a SourceError that says what is wrong with it; an Event is always of a
definition of the catalogue, on a managed object of its pattern, at a time that has been.
"""
