"""Scripts that run unattended on a cluster; nothing here knows what they do.

`submit` copies a script into a folder of its own on the cluster, where `runner` starts it and watches over it; a record
of it is kept here, by which `submitted` finds it again. What is done with it there is said by `remote_run`, through one
of the `channels`. The kinds of clusters are registered in `backend`, each in a module that ends in ``BACKEND = ...``.
"""
