"""Who may do what: API keys, roles, and the hosts and origins that requests may name. No Flask here.

``api/auth.py`` asks at every request, `rowmill keys` writes.
"""
