"""Many videos instead of one: a list of them, workers that share nothing, results in Parquet.

A video is done when its row is in a file of results. Whatever ends a run, the same command goes on
with the videos that are left. `mmotion.predict_corpus` is the way in.
"""

# what may run the workers: processes of this machine, or actors of Ray
ENGINES = ('local', 'ray')
