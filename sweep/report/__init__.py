"""What a study looks like: a page to open in a browser, and the same pictures as files.

Imports `tables` and the rooms below it; `replay` draws its own tables with `pictures` and `render`.
`study` reads a study's results, `pictures` holds one file for each picture (a Vega-Lite
specification as a plain dict), `page` puts them into one HTML file, and `render` is the only file
that imports vl-convert. To add a picture, write `pictures/NAME.py` and name it in `pictures`.
"""
