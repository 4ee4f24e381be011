"""Many films: a queue that outlives its runners, and runners that take its jobs one after the other.

    files, folders, lists -> batch (titles) -> queue <- runner -> encoder/pipeline.py
                                                 ^-- status, cancel, retry

deciding (pure)
    states      what a job is, what may become of it, when it is tried again
    titles      a film's title, from the name of its file
    table       jobs as a person reads them
doing
    batch       files, folders and lists as films with titles
    job_queue   jobs in a database: SQLite on one machine, PostgreSQL for several
    runner      takes a job, keeps its lease, tells how far it is, ends it
    cli         `nearcast encode add | run | status | cancel | retry`
"""
