"""`nearcast bench delivery`: our appliance and its peers on the same files, driven in alternating rounds.

    content -> subjects (ours, nginx, Varnish, Caddy, ATS, the bare loop) <- wrk, paced, crowd, downloads
                                    rounds -> observations -> result -> table, JSON

cli             the command
cases           what is measured: contents, schemes, connections, and what counts in each    (pure)
configurations  what the peers are told: nginx.conf, VCL, Caddyfile, ATS records    (pure)
content         the files, as a package and as a plain folder
certificate     one self-signed certificate for all
tokens          our side's token: a key set, and a Common Access Token made of it
programs        one process under measurement: started, awaited, its CPU and memory, ended
subjects        who is measured: how each is started, and what it can do
compiled        the C programs below, compiled when they are needed
bare            the limit: bare.c, or the thinnest loop in Python where there is no compiler
paced.c         an open-loop client at a fixed rate
wrk             what wrk is told, and what it says
crowd           idle connections and slow readers
downloads       many players at once, each with requests of its own
far             an origin made distant: a relay that delays
plan            how much of everything, and how much of that this machine can bear
stage           files, origin and subjects, set up
rounds          runs the cases
machine         what it ran on
result          medians and ratios    (pure)
table           the tables a person reads    (pure)
"""
