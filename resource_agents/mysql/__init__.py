"""A small client for MySQL's protocol, standard library only: what monitors ask a database with."""
