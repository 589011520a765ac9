"""Predicted accuracy: the models that rules and proposers fit to a study's measurements.

Imports `core` only. To add another model of accuracy, add a file here, in pure numpy or scipy.
"""
