"""Whom a player should ask, in what order, and why; the fleet's registry, and the page that plays.

    reports --> fleet ----------.
    catalog (origin) ----------. \\
    client --> sites --> ranking --> play: a session's manifest, steering URI in it
               (prefixes,        \\-> poll: its steering manifest, now
                geography)        \\-> explain: the same decision in words

The session lives in the steering URI, so no server remembers a player; what is asked is answered from memory, and the
database, through which replicas tell each other what appliances report, is written and read behind.

prefixes/    which site an address belongs to: tables of a million prefixes, in memory that processes share
placement/   sites, geography and measured paths: where a client is, and which sites are near it
appliances/  what every appliance last said, what its players say of it, and how it stands now
choice/      whom a client is told of, in what order, and why
sessions/    what players ask and are answered; the tokens that they carry; pathways and clones
front/       the lean side of the port: what players and appliances ask all day, all else handed to aiohttp
replicas/    what several steering processes tell each other over a database, and what is kept over a restart
workers/     several processes of one port
routes/      who announced which prefix: BGP sessions in, the table file out; a process of its own
checks/      the linter for partners' prefixes
journal/     what steering knew, kept so that any moment can be looked at again
replay/      a moment explained again, and a day's sessions decided again with one thing changed
web/         the catalog page and the player page: plain ES modules, one adapter for each player

director     the working set, and the questions it answers
catalog      titles and packages, from the origin
decisions    the log of decisions, from which misses are explained
draws        numbers drawn from names, the same on every replica          (pure)
recent       a mapping that keeps what is new, in bounded memory          (pure)
service      HTTP; openapi, metrics and assets stand beside it
cli          serve and explain; the commands of checks, replay and routes stand in their folders
errors       what can go wrong
"""
