"""Plans a study for somebody who has images and minutes, and no config: `sweep start`.

`plan` is a pure function: from facts about the images, the machine and measured times to a plan.
`measure` takes the times, `config_file` writes the plan as a commented config, and `start` does all
of it in order. Imports `launch` and what is below it. To add a larger encoder: a rung in `ladder`.
"""
