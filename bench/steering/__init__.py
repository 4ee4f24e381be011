"""`nearcast bench steering`: how many sessions a worker of steering begins and how many polls it answers, at full size.

    world -> table file, configuration --> stage: origin; the service on one core; reporters, load on the other
                                             |
            measure: memory, peaks, latency at half of them, a lost report --> result: rows with their goals

The service is the real one, in a process of its own with one core to itself: reports come in all the while, tokens are
signed and decisions logged. Who asks has the other core, and has to be leaner than what it asks.

world       a made-up network of ISPs: sites, appliances, titles, prefixes, clients
composed    what browsers and appliances send, byte by byte                             (pure)
origin      a process that offers packages without media
reporters   a process that is all the appliances
load        a process that is all the players
stage       starts them, each on its core
table       the prefix table by itself
measure     the cases, one after another
result      rows, goals, the document                                                   (pure)
cli         the command
"""
