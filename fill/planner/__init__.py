"""What each appliance should hold, and the plans that tell it.

    forecasts, catalog, fleet, policy, terms  ->  cluster (knapsack, spread)  ->  tonight  ->  plans  ->  store -> agent

terms       what is agreed with a site: region, window, rate, budget    (pure)
knapsack    which files are worth a disk, and how little need be rewritten    (pure)
spread      homes of a package, copies for even load, weights of unlike appliances    (pure)
form        the plan's format: lines, fetches, keeps, drops    (pure)
cluster     what the appliances of one site should hold in the end    (pure)
tonight     how much of that one night brings    (pure)
plan        the plans of a whole fleet    (pure)
explain     why a file is where it is, what changed since last night, what is doubtful    (pure)
delta       a plan as what differs from the one before    (pure)
signed      bytes that only the holder of a key can have written    (pure)
keys        key files
store       plans in storage: published by the planner, read by agents
inputs      gathers what is decided on
evening     makes a night's plans from all of it
bulk        thousands of clusters and millions of files at once; bulk_files (its files), kernels (its inner loops)
cli         plan, keys
"""
