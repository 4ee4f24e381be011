"""A region is cut off while a thousand players watch: `nearcast bench failover`, in the time of a clock that it moves.

    traces --> viewers --.
    world (sites, film) --> simulation --ask, poll--> steering's own director  --> result -> table, JSON
                                       <-- report ---

What decides is what decides in production: steering's director with its fleet, ranking and sessions, and the rules of
bench/playback.py. What is simulated is bytes and time: links with the bandwidth of real traces, appliances that share
what they have among whom they serve, requests that hang where nobody is left to answer.

traces       bandwidth of viewers' links over time: parsed, or made up
trace_files  real traces from a file, a folder or an archive
world        regions, sites, appliances, viewers and the film
viewer       one player: what it fetches, from whom, and what its viewer sees            (pure)
scenario     what goes wrong, and when                                                   (pure)
simulation   the clock, and who gets how much of whose bandwidth
outcome      what a run came to                                                          (pure)
result       stalls and failures beside the undisturbed run, and what they must reach    (pure)
cli          the command
"""
