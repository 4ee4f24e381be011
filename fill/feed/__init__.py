"""What was watched: access logs in, the history of each region out; and what forecasts made of it.

    access logs -> records -> lines -> counting -> hours -> reading -> History
                   (logs)    (ingest keeps them in the store)

records     a line: what a viewer watched, or why it does not count    (pure)
lines       lines as rows, clocks put right, refusals counted    (pure)
logs        finding logs, and reading them from where they were left
counting    lines into hours of bytes, answers and sessions, each once, what no viewer did left out
ingest      keeps them, each line once whatever is killed when
store       where what is kept is
days        the hours of many days, counted again where a file is gone
places      where appliances stand, and what region that is
networks    whose nearest site is where, as steering decided
reading     the history of a region, from what is kept or straight from logs
rhythm      the hours of a week    (pure)
scores      forecasts, kept and measured against what came
database    DuckDB for a piece of work, and past what is damaged
cli         ingest, misses, report
"""
