"""The report: a sweep as one HTML file that needs no network and no other file.

`page.render(sweep)` gives its bytes: the same for the same sweep, since every time and number in it is read from the
run directories. The tables are HTML that Jinja has escaped, so they can be read without the script, which sorts and
filters them, draws the curves from `packed.packed`, and makes the pages of the runs.
`server.serve` gives the same page, live.

The curves have a canvas script of their own. Plotly is 4.5 MB a report, and builds a tree of objects a line; uPlot
(50 kB) draws as quickly as this, but its unit is a column of a table, so that the mean over the seeds that are shown,
the nearest of 1,000 lines, colours by key and the keyboard would have to be written around it all the same. What
remains of a chart then, two axes and a zoom, is shorter than the code that would hold a library.

Nothing from a run directory can act: the page's Content-Security-Policy allows the one script whose hash it names, and
no connection, but for a live page's to its server; of a figure only shapes are kept (`svg`).
"""
