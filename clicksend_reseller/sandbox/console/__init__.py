"""The console: a page for a person who looks at a served sandbox and steers it.

``routes`` has the page and its forms, ``view`` the values that the template shows, ``rows`` its
transfers and requests, ``timeline`` its pictures of money over time. The template, the style
sheet and the script stand beside them.
"""

from clicksend_reseller.sandbox.console.routes import HOME, console_routes

__all__ = ["HOME", "console_routes"]
