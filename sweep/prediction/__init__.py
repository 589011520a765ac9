"""Predicted accuracy: the responses that rules and proposers fit to what a study knows.

Imports `core` only. To add a model of the response: a file here, pure numpy or scipy.
"""
