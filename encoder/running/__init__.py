"""What an encode runs on: tools, finished steps, and workers here or on other machines.

process    runs ffmpeg, ffprobe and the packager; leaves none behind
arguments  ... with arguments that are longer than Linux takes
steps      finished steps under a key of their inputs, so that a killed encode resumes
units      pieces of work that any machine can do, and the places where they find the film and leave their step
workers    who makes the units: threads here, any executor
cluster    ... or a Dask cluster
shared     film and steps in a storage, for workers that share no disk with us
films      copies of films that are elsewhere
storage    the origin's storages, opened by URL
work       one film and the means to work on it
"""
