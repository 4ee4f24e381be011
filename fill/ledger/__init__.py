"""The ledger of misses: every byte that was not served at its viewer's nearest site, with the reason.

    steering's log of decisions --.
    access logs (appliances, -----+-> reading -> join -> accounts -> tables, counterfactual
     origin)

reasons         what a byte can be on the ledger    (pure)
join            answers to viewers and the decisions that sent them there, in whatever order they come    (pure)
accounts        the bytes of each ISP, site and title, by reason    (pure)
counterfactual  what more storage or one more appliance at a site would have saved    (pure)
reading         the logs, from a moment on or as they are written
"""
