"""The appliance: serves content from inside an ISP's network, and gets what it lacks.

    player -> worker: http/ (request -> answer) -> held whole? sendfile
                                                -> not held: Need -> parent: miss/ -> store/ -> sendfile as it lands
    fill agent -> parent: miss/ -> store/
    parent -> steering: report

appliance   the parent process: volume, fetcher, workers, reports, signals
worker      one delivery process
http/       HTTP/1.1: ranges, conditions, answers, connections
store/      the volume and its scrubbing
miss/       upstreams and the block fetcher, behind misses and fills alike
messages    what is said on the local socket; link is the asking end of it
report      what an appliance says of itself (steering reads it)
access_log  one line for each answer (fill counts them)
admin       /healthz /readyz /metrics
cli         serve, status, drain, resume, scrub
"""
