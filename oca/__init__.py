"""The appliance: serves content from inside an ISP's network, and gets what it lacks.

    player -> worker: http/ (request) -> gate (token) -> delivery: pieces (known to be right?) -> http/ (sendfile)
                      not known to be right: Need -> parent: store/, miss/ -> sendfile as it is verified, or lands
    fill agent -> parent: miss/ -> store/
    parent -> steering: report (its state, what it holds, how players fare, the ways to them)

appliance    the parent process: store, fetcher, reports; workers are its delivery processes as it sees them
worker       one delivery process: clients, and how many of them
delivery     a request -> its answer; pieces is what a worker knows of stored files, needs what it waits for from the
             parent, gate whom it lets have what
http/        HTTP/1.1: requests, ranges, conditions, answers, connections, TLS
tokens/      access tokens (CTA-5007)
store/       volumes, what they hold and whether it is right, scrubbing
miss/        upstreams and the block fetcher, behind misses and fills alike
messages     what is said on the local socket; link is the asking end of it
report       what an appliance says of itself (steering reads it)
experience   how delivery is for those who are served; crowd counts them, whoever lies
access_log   one line for each answer (fill counts them); cmcd is what players say in it, cmsd what we tell them
credentials  keys and certificates, read and checked before they are used
admin        /healthz /readyz /metrics
cli          serve, status, drain, resume, scrub
"""
