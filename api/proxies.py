"""What proxies in front of the API say of a request: believed of so many of them as are known to be there.

Believed too little, links point to the wrong place; believed too much, a client chooses its own address
and has no rate limit. So nothing is believed unless the operator says how many proxies there are.
"""

from __future__ import annotations

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix


def register(app: APIFlask, count: int) -> None:
    """Take address, scheme, host and path prefix from the value of ``X-Forwarded-…`` that the first one sent.

    It is the one at ``count`` from the end, so that what a client wrote in front of it is not read.
    """
    if count:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count, x_prefix=count
        )
