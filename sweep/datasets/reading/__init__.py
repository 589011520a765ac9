"""How a folder or a table of images is read: which images, labels and splits are at a path.

    path -> what lies there (`found`, `tables`, `metadata`) -> columns and folders (`columns`,
    `folders`) -> labels (`labels`) and splits (`words`, `splits`, `drawing`) -> pixels -> `reader`

A reading is certain or it is refused: the sentence says what was seen and what to type. What was
read is told in a few lines (`report`). Shapes: N images at the path.
Imports `sweep.datasets.pixels`.
"""
