"""Clusters whose workers are jobs of a batch system, through dask-jobqueue; each system is a kind beside this package.

`options` holds their keys and `walltime` how long jobs take, `system` says in what batch systems differ, `network`
which addresses are listened on, `private_folder` keeps what only the jobs may read, `script` makes the job script of a
configuration, `cluster` is Dask's cluster object that knows its jobs, `keeper` submits those again that ended,
`checks` finds what stands in the way, `start_up` brings it all up, and `kind` makes a kind of a batch system.
"""
