"""Tests on several hosts: network namespaces of this machine, which only root can make."""
