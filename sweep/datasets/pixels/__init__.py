"""From compressed images to uint8 arrays: one image (`picture`), its size (`fit`), all (`many`).

The same steps in the same order for every image: orientation from EXIF, transparency composed over
the background, grey or RGB, size, range, rounding to uint8. Imports Pillow and numpy.
"""
