"""Reads the whole body of a request, so that its handler can still read it in every way aiohttp offers."""

import asyncio

from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol


async def whole_body(request: web.Request) -> bytes:
    """The body, of at most the application's `client_max_size` bytes; raises what aiohttp raises.

    `read`, `text`, `json` and `post` of a form give it again by themselves. What reads the stream (`multipart`,
    `content`) finds it empty, so it gets a stream that holds the same.
    """
    body = await request.read()
    loop = asyncio.get_running_loop()
    stream = StreamReader(BaseProtocol(loop), len(body) + 1, loop=loop)  # room for all: there is no source to pause
    stream.feed_data(body)
    stream.feed_eof()
    request._payload = stream  # noqa: SLF001 -- aiohttp has no public way to give a request its body back
    return body
