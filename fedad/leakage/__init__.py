"""Attacks on what leaves a site: what who holds a bank, and some images, can learn from it.

An attack shows what leaks at least. That a poor one finds nothing does not show that nothing leaks.
"""
