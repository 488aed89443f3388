"""Where the broker is: one address or several nodes of one cluster, plain or by TLS."""

import ssl
from dataclasses import dataclass

from yarl import URL

from hocket.errors import ConfigError

#: Nodes that one URL may name.
MAX_NODES = 32
#: Where brokers listen, by scheme.
PORTS = {"amqp": 5672, "amqps": 5671}
#: Words of the query that name files of TLS; the client does not see them.
TLS_WORDS = frozenset({"cafile", "certfile", "keyfile"})

_FORM = (
    "the broker's URL is none: it has the form amqp://USER:PASSWORD@HOST:PORT/VHOST, also with several nodes, "
    "amqp://USER:PASSWORD@HOST,HOST,HOST/VHOST, or several such URLs separated by commas"
)


@dataclass(frozen=True, slots=True)
class Address:
    """One node, and how to say so without the password; `tls` is None on a plain connection."""

    url: URL
    where: str
    tls: ssl.SSLContext | None = None

    @property
    def vhost(self) -> str:
        """The virtual host, as the client reads it out of the path."""
        return self.url.path[1:].replace("%2F", "/") or "/"

    @classmethod
    def of(cls, text: str) -> "Address":
        """Read the URL of one node, `amqp://…` or `amqps://…`; `ConfigError` for anything else.

        `amqps` takes `?cafile=` (whom to trust in place of the system's), `&certfile=` and `&keyfile=` (who we are).
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
        files = {word: url.query[word] for word in TLS_WORDS if word in url.query}
        rest = [(word, value) for word, value in url.query.items() if word not in TLS_WORDS]
        if url.scheme == "amqp" and files:
            raise ConfigError(
                f"the broker's URL for {where} names {', '.join(sorted(files))}: TLS begins with amqps://"
            )
        return cls(url.with_query(rest), where, _context(files, where) if url.scheme == "amqps" else None)


def addresses(text: str) -> tuple[Address, ...]:
    """Every node that `HOCKET_BROKER_URL` names, in its order.

    `amqp://u:p@a,b:5673,c/vhost` or whole URLs separated by commas; `ConfigError` for anything else.
    """
    urls = [url for whole in _whole(text) for url in _each_host(whole)]
    if len(urls) > MAX_NODES:
        raise ConfigError(f"the broker's URL names {len(urls)} nodes, at most {MAX_NODES} are tried")
    return tuple(Address.of(url) for url in urls)


def _whole(text: str) -> list[str]:
    """Whole URLs: a comma separates two where the next begins with a scheme; else it separates two hosts."""
    found: list[str] = []
    for part in text.split(","):
        if found and "://" not in part:
            found[-1] += f",{part}"
        else:
            found.append(part.strip())
    return found


def _each_host(text: str) -> list[str]:
    """One URL a host of `scheme://user:password@host,host/rest`."""
    scheme, separator, rest = text.partition("://")
    end = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    return [f"{scheme}{separator}{user}{at}{host.strip()}{rest[end:]}" for host in hosts.split(",")]


def _context(files: dict[str, str], where: str) -> ssl.SSLContext:
    """TLS as these files say; `ConfigError` names the file that cannot be used."""
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
