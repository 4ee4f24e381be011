"""Whom a player should ask, in what order, and why; the fleet's registry, and the page that plays.

    reports --> fleet ----------.
    catalog (origin) ----------. \\
    client --> sites --> ranking --> play: a session's manifest, steering URI in it
               (prefixes,        \\-> poll: its steering manifest, now
                geography)        \\-> explain: the same decision in words

The session lives in the steering URI, so no server remembers a player; what is asked is answered from memory, and the
database, through which replicas tell each other what appliances report, is written and read behind.

fleet       what every appliance last said, and its health          (pure)
admission   what was promised of its capacity and does not show yet  (pure)
addresses   addresses and prefixes as numbers and as text
table       longest prefix match, on bytes that processes share      (pure)
entries     all prefixes of a table: what a change makes anew; columns: one IP version's (pure)
table_file  the table of what ISPs announce, as a file
prefixes    what sites list, in a table of its own (pure); lists: the files of that, geofeeds too
distances   how far sites are from a place                           (pure)
nearby      the order of the sites for a place, and which of thousands ranking looks at (pure)
sites       the operator's sites, and which of them a client is at   (pure)
ranking     whom a client is told of, in what order                  (pure)
draws       numbers drawn from names, the same on every replica      (pure)
cdns        other CDNs as pathways (pure); cohorts: what is tried on a part of the sessions (pure)
experience  which appliances' players stall (pure); complaints: what in CMCD events says so; hosts: of whom
paths       measured ways between clients' networks and sites        (pure)
sessions    the session as a signed token                            (pure)
access      its access token, good on every appliance (pure); credentials: the key that makes it
pathways    steering manifests, and the quirks of who asks for them  (pure)
clones      pathways that a session's manifest does not list         (pure)
clients     whose address a request carries                          (pure)
explain     a decision with its reasons, as JSON and text            (pure)
lint        what looks wrong with prefixes; registry: space that was given out (pure); checking: their command
decisions   the log of decisions, from which misses are explained
recent      a mapping that keeps what is new, in bounded memory      (pure)
geography   where an address is, and how far places are apart; places: read out of its database (pure)
catalog     titles and packages, from the origin
replicas    what several steering processes make of each other's reports (pure)
exchange    what they tell each other, and what is kept over a restart
database    the statements that this takes, on SQLite and PostgreSQL
probe       asks appliances that fell silent whether they live
director    the working set, and the questions it answers
players     what players ask and are answered, whoever brings it
front/      the lean side of the port: what players and appliances ask all day, all else handed to aiohttp
service     HTTP; openapi, metrics and assets stand beside it
worker      one process of it, and how those of one port share it: workers (their parent), exposition (pure)
cli         serve, explain, prefixes check; replay and routes stand in their folders
errors      what can go wrong
routes/     who announced which prefix: BGP sessions in, the table file out; a process of its own
journal/    what steering knew, kept so that any moment can be looked at again
replay/     a moment explained again, and a day's sessions decided again with one thing changed
web/        the catalog page and the player page: plain ES modules, one adapter for each player
"""
