"""A film in, a package out. (Page to be completed with the pipeline.)"""
