"""Measurements that are run by hand: they assert nothing."""
