"""How fast a plan is, and what it costs: bounds that no device beats, and forecasts fitted to published measurements, with their errors.

`work` says what a step asks of a GPU, exactly; `rates` how fast the GPU could at best; `terms` splits the time into parts that are
proportional to a coefficient each; `coefficients` holds those, fitted by `scripts/fit_speed.py`; `forecast` puts them together.
"""
