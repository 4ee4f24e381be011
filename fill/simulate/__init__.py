"""What a fleet would serve, before it is built or changed: days of watching replayed under our planner and others.

    FLEET.toml -> fleet -> whatif ------------.
    trace (reading, traces, lists), or models -+-> inputs -> replay -> outcome -> show
                       source <- catalogue ---'               |
                                    expect, policies (disk) --+-- caches, bound (sampling)

catalogue   the files, the ladder that each title has, the hours at which people watch    (pure)
source      where requests come from; drawn from a model    (pure)
models      a synthetic catalogue    (pure)
traces      requests as they were recorded    (pure)
lists       daily lists and half-years as models    (pure)
reading     files of these kinds
fleet       sites and appliances, from TOML
whatif      changes to a fleet, as sentences    (pure)
alike       sites that are nearly alike, as one    (pure)
thinning    fewer titles that stand for all    (pure)
inputs      all of it put together from what was asked for
expect      a forecast for each region, that has seen the days before and no other    (pure)
disk        what a site's disks hold from night to night, and within the day    (pure)
policies    what is compared    (pure)
caches      LRU, S3-FIFO, SIEVE, FIFO, by libCacheSim
sampling    fewer requests for caches to be simulated on    (pure)
bound       what no policy can exceed    (pure)
replay      plays the days through
outcome     what was found    (pure)
sizing      which appliances a new site needs
show        tables for people
cli         simulate, size
"""
