"""Still pictures of a film.

poster  which picture shows it best                                                (pure)
sheets  thumbnails: how many, how they lie, what manifests say of them             (pure)
step    takes them out of the film
"""
