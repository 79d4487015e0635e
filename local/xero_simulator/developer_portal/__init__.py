"""developer.xero.com, as far as apps go: My Apps, New app, Configuration, and what a Custom connection needs.

`portal` has the rules, without HTTP; `blueprint` puts the pages together.
"""
