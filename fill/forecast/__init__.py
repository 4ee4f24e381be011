"""What will be watched: what was, what is published, and what the day itself tells, as expected plays of each file.

    histories, offers, policy -> daily (cohorts, prior; boosted where it earned it) -> Forecast -> planner
                                 Forecast + the day's requests -> within -> swaps

expected    the value that forecasts are (pure)
daily       the forecast of a region's next day (pure)
cohorts     what a title that nobody could watch yet is expected to be watched like (pure)
counts      running totals -> what came in a day; decay by age (pure)
features    what is known of each candidate on the evening before, as numbers (pure)
boosted     two-stage gradient boosting on these features; off unless it beat yesterday's counts on past days
within      the forecast as a prior that the day's requests correct: when to swap what is held (pure)
catalogue   a long catalogue's next term, its release schedule known
terms       a report of a term, and which titles of two reports are the same (pure)
schedule    what is known of a term's titles before it begins, as numbers (pure)
"""
