"""Parses the broker's URL: one address or several nodes of one cluster, plain or with TLS."""

import ssl
from dataclasses import dataclass

from yarl import URL

from hocket.errors import ConfigError

#: Nodes that one URL may name.
MAX_NODES = 32
#: Default ports, by scheme.
PORTS = {"amqp": 5672, "amqps": 5671}
#: Query parameters that name TLS files; they are not passed to the client.
TLS_PARAMETERS = frozenset({"cafile", "certfile", "keyfile"})

_FORM = (
    "the broker's URL is invalid, HOCKET_BROKER_URL: it has the form amqp://USER:PASSWORD@HOST:PORT/VHOST, also with "
    "several nodes, amqp://USER:PASSWORD@HOST,HOST,HOST/VHOST, or several such URLs separated by commas; "
    "a port is below 65536, and in a password @ is written %40 and / %2F"
)


@dataclass(frozen=True, slots=True)
class Address:
    """One node; `where` names it without the password, `tls` is None on a plain connection."""

    url: URL
    where: str
    tls: ssl.SSLContext | None = None

    @property
    def vhost(self) -> str:
        """The virtual host, read from the path as the client does."""
        return self.url.path[1:].replace("%2F", "/") or "/"

    @classmethod
    def of(cls, text: str) -> "Address":
        """Parse the URL of one node, `amqp://…` or `amqps://…`; `ConfigError` for anything else.

        `amqps` takes `?cafile=` (the CA to trust instead of the system's), `&certfile=` and `&keyfile=` (our own).
        """
        try:
            url = URL(text)
            usable = url.scheme in PORTS and bool(url.host) and not url.fragment
            port = url.port or PORTS.get(url.scheme, 0)
        except ValueError:
            usable, url, port = False, URL(), 0
        if not usable:
            raise ConfigError(_FORM)
        where = f"{url.host}:{port}"
        files = {word: url.query[word] for word in TLS_PARAMETERS if word in url.query}
        rest = [(word, value) for word, value in url.query.items() if word not in TLS_PARAMETERS]
        if url.scheme == "amqp" and files:
            raise ConfigError(
                f"the broker's URL for {where} names {', '.join(sorted(files))}: TLS begins with amqps://"
            )
        return cls(url.with_query(rest), where, _context(files, where) if url.scheme == "amqps" else None)


def addresses(text: str) -> tuple[Address, ...]:
    """Every node that `HOCKET_BROKER_URL` names, in the same order.

    `amqp://u:p@a,b:5673,c/vhost` or whole URLs separated by commas; `ConfigError` for anything else.
    """
    urls = [url for part in _split_urls(text) for url in _each_host(part)]
    if len(urls) > MAX_NODES:
        raise ConfigError(f"the broker's URL names {len(urls)} nodes, at most {MAX_NODES} are tried")
    return tuple(Address.of(url) for url in urls)


def _split_urls(text: str) -> list[str]:
    """Split into URLs: a comma before a scheme separates two URLs, any other comma two hosts."""
    found: list[str] = []
    for part in text.split(","):
        if found and "://" not in part:
            found[-1] += f",{part}"
        else:
            found.append(part.strip())
    return found


def _each_host(text: str) -> list[str]:
    """One URL for each host of `scheme://user:password@host,host/rest`."""
    scheme, separator, rest = text.partition("://")
    end = min((index for index in map(rest.find, "/?#") if index >= 0), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    return [f"{scheme}{separator}{user}{at}{host.strip()}{rest[end:]}" for host in hosts.split(",")]


def _context(files: dict[str, str], where: str) -> ssl.SSLContext:
    """The TLS context made of these files; `ConfigError` names a file that cannot be used."""
    if "keyfile" in files and "certfile" not in files:
        raise ConfigError(f"the broker's URL for {where} names a keyfile and no certfile: give both")
    try:
        context = ssl.create_default_context(cafile=files.get("cafile"))
    except (OSError, ValueError) as broken:
        raise ConfigError(f"cafile={files.get('cafile')} of the broker's URL cannot be used: {broken}") from broken
    if "certfile" in files:
        try:
            context.load_cert_chain(files["certfile"], files.get("keyfile"))
        except (OSError, ValueError) as broken:
            names = " and ".join(f"{word}={files[word]}" for word in ("certfile", "keyfile") if word in files)
            raise ConfigError(f"{names} of the broker's URL cannot be used: {broken}") from broken
    return context
