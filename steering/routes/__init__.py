"""Who announced which prefix: BGP sessions in, a table of prefixes and their sites out.

    ISP's router --BGP--> ExaBGP --lines--> forward --> feed --.
    BIRD --------------------------------------> bird ---------+--> rib (filters, best) --> table file
    MRT dump, BIRD's text ---------------------> dumps --------'     '--> store: <table>.rib

It is a process of its own (`nearcast steering routes serve`) that only ever listens, and no player waits for it. Of a
table file the steering processes read which sites a prefix was announced to, best path first.

route              a prefix, AS path and attributes as values                    (pure)
peer               the sessions that an operator declared                        (pure)
best               the standard order of paths                                   (pure)
filters            which routes are believed, and why not                        (pure)
prefix_set, vrps   what filters look into: address space, RPKI                   (pure)
rib                all routes of all sessions, and what changes by each message  (pure)
exabgp_messages    what ExaBGP says                                              (pure)
bird_text          what BIRD prints                                              (pure)
mrt                routing tables in the MRT format                              (pure)
exabgp_process     ExaBGP as a child
forward            between ExaBGP's pipe and feed
feed               the socket that ExaBGP's lines arrive at
bird, dumps        asks a BIRD; reads files
validator          the RPKI validator's file
store              the routes over a restart
service, process   all of it together; status and troubles are what it says of itself
cli                serve, status, show, import, dump
"""
