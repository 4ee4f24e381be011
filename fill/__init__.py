"""What goes where, and moving it there: push fill, in the ISP's window, before anybody asks.

    access logs -> popularity -> demand .
    catalog, manifests (fleet) ----------+-> plan (placement) -> plans storage -> agent -> the appliance's parent
    reports: disk, held files (fleet) --'                                          ^ window, sources

popularity  access logs -> bytes a day of each file, recent days counting most    (pure)
demand      what each file of the catalog will be watched, also the new ones; pins and bans    (pure)
placement   which appliances of a cluster a package belongs on, in order    (pure)
plan        what each appliance should hold, fetch and drop, and why; the plan's format    (pure)
window      when an appliance may fill, in its site's local time    (pure)
sources     whom to fetch a file from, in order    (pure)
appliances  what steering tells of each appliance    (pure)
fleet       thin clients: the fleet from steering, catalog and manifests from the origin
agent       carries out one appliance's plan through the appliance's local socket
cli         plan, run
errors      what can go wrong
"""
