"""What goes where, and moving it there: push fill, in the ISP's window, before anybody asks.

    access logs, decisions -> feed -> History -> forecast -> Forecast .
    catalog, manifests (fleet) ------------------------------------+-> planner -> plans in storage -> transfer -> parent
    reports: disk, held files (fleet); policy; terms of sites -----'                                 \\-> Outcome
    access logs, decisions -> ledger -> misses;   plans, outcomes -> report

names       what is decided on: a file of a title, and the package that offers it          (pure)
policy      what operators decide: pins, bans, releases                                    (pure)
history     what was watched in a region                                                   (pure)
appliances  what steering tells of each appliance                                          (pure)
fleet       thin clients: the fleet from steering, catalog and manifests from the origin
feed/       what was watched: logs into events, events into History; the score of past forecasts
forecast/   what each file will be watched; corrected within the day; models that earned it
planner/    which files, where, how much tonight, and why; plans signed, published, pulled; when to plan
transfer/   the agent beside each appliance, its sources and window; urgent orders
ledger/     every byte that was not served at its viewer's nearest site, with the reason
report      last night: planned, done, missed and why
simulate/   the same planner on traces and models, against other policies; sizes for a new site
cli         the commands, each loaded when it is run
errors      what can go wrong
"""
