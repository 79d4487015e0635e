"""A strict Xero, as a program of its own and as a library.

`XeroSimulator` in `server` serves it over HTTP; `IdentityServer` is what it knows without one.
"""
