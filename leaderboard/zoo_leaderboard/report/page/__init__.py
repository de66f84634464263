"""The leaderboards of a store as static pages: `publish`, or `zoo leaderboard page`.

publish     which tracks, from which store
build       which pages there are, and what each shows
board_table, runs, about, charts, figures, downloads, reproduce     what is on them
rendering   Jinja templates, which escape everything
site        the folder: written only where something changed
names       the files' names
"""
