"""Where a client is, and which sites are near it.

sites      the operator's sites, and which of them a client is at        (pure)
geography  where an address is, and how far places are apart; places: read out of its database (pure)
distances  how far sites are from a place                                (pure)
paths      measured ways between clients' networks and sites             (pure)
nearby     the order of the sites for a place, and which of thousands ranking looks at (pure)
"""
