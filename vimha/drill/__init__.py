"""Drills: real faults on a lab, the outage that a client saw, and a verdict against the budget."""
