"""Whom a player should ask, in what order, and why; the fleet's registry, and the page that plays.

    reports --> fleet ----------.
    catalog (origin) ----------. \\
    client --> sites --> ranking --> play: a session's manifest, steering URI in it
               (prefixes,        \\-> poll: its steering manifest, now
                geography)        \\-> explain: the same decision in words

The session lives in the steering URI, so no server remembers a player; what is asked is answered from memory, and the
database is written behind.

fleet       what every appliance last said, and its health          (pure)
prefixes    longest prefix match, on a compiled table                (pure)
distances   how far sites are from a place                           (pure)
nearby      which of thousands of appliances ranking looks at        (pure)
sites       the operator's sites, and which of them a client is at   (pure)
ranking     the order of the fleet for one client, with reasons      (pure)
sessions    the session as a signed token                            (pure)
pathways    steering manifests, and the quirks of who asks for them  (pure)
clients     whose address a request carries                          (pure)
explain     a decision as JSON and text                              (pure)
decisions   the log of decisions, from which misses are explained
geography   where an address is, and how far places are apart
catalog     titles and packages, from the origin
database    the fleet, kept over a restart
director    the working set, and the questions it answers
service     HTTP; openapi, metrics and assets stand beside it
cli         serve, explain, prefixes check
errors      what can go wrong
web/        the catalog page and the player page: plain ES modules, one adapter for each player
"""
