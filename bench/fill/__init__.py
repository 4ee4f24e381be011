"""What fill is worth on real demand: `nearcast bench fill FILE...`, by past that is revealed a day at a time.

    files -> reading -> lists, halves -> cases (nightly, within, policies, catalogue) -> rows -> result -> table, JSON
    no files -> sample -----^            planning, transfer --------------------------^

reading    daily lists and half-year reports, from files that may be partly garbage
sample     made-up files of the same two formats, for where there are none (pure)
reveal     days one after the other; what is scored, and the oracle that it is scored against (pure)
evening    what every forecast expects of each evening: plain ones, and boosting on other regions and earlier months
nightly    the nightly plan: share of an oracle
within     the plan corrected within the day
policies   no fill, LRU, S3-FIFO, yesterday's ranking, ours, the clairvoyant, on one stream of requests
seasons    the next half-year of a long catalogue
demand     all of these as rows
planning   the planner's speed, gap, balance, churn
transfer   transfers' speed and what they cost players
result     rows, what they must reach, the document (pure)
cli        the command
"""
