"""Moves what a plan says: beside each appliance an agent reads its plan, and has the appliance fetch file after file.

    plan  ->  window open?  ->  who may be asked (sources, escalation)  ->  the appliance fetches  ->  outcome, status

agent        carries a plan out, takes up the next one, and leaves an outcome
window       from when to when an appliance may fill    (pure)
sources      whom to fetch a file from, in order    (pure)
escalation   how far away an appliance may ask by now    (pure)
spending     how much may still come from outside the site    (pure)
parent       the appliance's local socket, as the agent uses it
status       how far the agent is, kept where `nearcast fill status` finds it
outcome      what became of a plan, for the report    (pure)
orders       urgent fills and purges, out of turn    (pure)
following    takes orders from storage and carries them out
triggers     the same orders as RFC 8007 has them: a small HTTP service for an upstream CDN
cli          run, status, preposition, purge, orders
"""
