"""The dashboard: every query answers with data from services that run, by a real Prometheus."""

import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from ruamel.yaml import YAML

from deploy.broker.node import RabbitNode, free_ports
from deploy.demo.webhooks import bodies
from deploy.demo.webhooks.signing import standard
from tests.deploy.compose_without_containers import ROOT, Shop, load, parts

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/hocket.json").read_text(encoding="utf-8"))
#: What Grafana fills in; here for a Prometheus that scrapes every second.
FILLED = {"$__rate_interval": "15s", "$__range": "5m", "$service": ".*"}
SCRAPE = "1s"
#: Longest wait until every query has answered with data, in seconds.
DATA_SECONDS = 90
#: Orders that go through while Prometheus looks, and the pause between two, in seconds.
ORDERS = 60
PAUSE_SECONDS = 0.25
#: How long the cards answer 500: long enough for five failures in a row.
OUTAGE_SECONDS = 5


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    panel: str
    text: str


def queries() -> list[Query]:
    """Every query of the dashboard as Grafana would send it."""
    found = []
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in FILLED.items():
                text = text.replace(name, value)
            found.append(Query(panel["title"], text))
    return found


def call(url: str, body: object = None) -> Any:
    """GET, or POST of JSON; the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=10) as answer:
        return json.load(answer)


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that scrapes the shop."""

    url: str

    def ask(self, query: str) -> list[float]:
        """The finite values of the instant query; an error of the query is the test's error."""
        answer = call(f"{self.url}/api/v1/query?{urlencode({'query': query})}")
        assert answer["status"] == "success", answer
        values = [float(each["value"][1]) for each in answer["data"]["result"]]
        return [value for value in values if math.isfinite(value)]

    def values(self, label: str, metric: str) -> set[str]:
        """The values that a label has in the samples of a metric."""
        answer = call(f"{self.url}/api/v1/label/{label}/values?{urlencode({'match[]': metric})}")
        assert answer["status"] == "success", answer
        return set(answer["data"])


@pytest.fixture(scope="module")
def prometheus(shop: Shop, rabbitmq: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A real Prometheus with the committed configuration, its targets mapped to loopback."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    said = load("deploy/prometheus/prometheus.yml")
    said["global"] = {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}
    there = {f"{part.name}:{part.port}": shop.url(part.name).removeprefix("http://") for part in parts()}
    there["rabbitmq:15692"] = f"127.0.0.1:{rabbitmq.prometheus_port}"
    for job in said["scrape_configs"]:
        job["static_configs"] = [{"targets": [there[target] for target in job["static_configs"][0]["targets"]]}]
    YAML(typ="safe").dump(said, folder / "prometheus.yml")
    (port,) = free_ports(1)
    arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [program, *arguments, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder
        )
    try:
        served = Prometheus(f"http://127.0.0.1:{port}")
        until = time.monotonic() + DATA_SECONDS
        while not _up(served, len(there)):
            assert running.poll() is None, (folder / "log").read_text(encoding="utf-8")[-2000:]
            assert time.monotonic() < until, (folder / "log").read_text(encoding="utf-8")[-2000:]
            time.sleep(0.2)
        yield served
    finally:
        running.terminate()
        running.wait(20)


def _up(served: Prometheus, wanted: int) -> bool:
    try:
        return served.ask("count(up == 1)") == [wanted]
    except OSError:
        return False


def test_every_panel_explains_itself() -> None:
    """Every panel has a title, a sentence, its own place and the provisioned data source."""
    uid = load("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"][0]["uid"]
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == uid


def test_every_metric_of_the_dashboard_is_one_of_the_docs() -> None:
    """No panel asks for a metric that docs/wire.md does not name."""
    named = set(re.findall(r"`(hocket_\w+)`", (ROOT / "docs/wire.md").read_text(encoding="utf-8")))
    asked = {name for query in queries() for name in re.findall(r"hocket_\w+", query.text)}
    assert {name.removesuffix("_bucket") for name in asked} <= named


def test_provisioning_points_at_what_is_mounted() -> None:
    """Grafana finds the dashboards where the compose file mounts them."""
    mounted = load("docker-compose.yml")["services"]["grafana"]["volumes"]
    (provider,) = load("deploy/grafana/provisioning/dashboards/hocket.yml")["providers"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounted
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in mounted
    assert Path(ROOT / "deploy/grafana/dashboards/hocket.json").is_file()


def order(number: int, card: str = "4242") -> dict[str, object]:
    """One order, as a customer posts it."""
    return {
        "customer": f"Customer {number}",
        "email": f"customer{number}@example.com",
        "card": card,
        "sku": "tea",
        "quantity": 1,
        "total_cents": 500 + number,
    }


def push(shop: Shop, number: int) -> None:
    """One webhook of the CRM's form, signed by the secret that the compose file sets for a trial."""
    secret = next(part.environment["INGRESS_FORM_SECRETS"] for part in parts() if part.name == "ingress")
    body = bodies.contact(f"contact{number}@example.com", number, 0, datetime.now(UTC))
    headers = {"Content-Type": "application/json", **standard(secret, f"msg_{number}", int(time.time()), body)}
    with urlopen(Request(f"{shop.url('ingress')}/webhooks/form", body, headers), timeout=10) as answer:
        assert answer.status == 202


@pytest.mark.rabbitmq
@pytest.mark.prometheus
def test_the_drop_down_lists_every_service(shop: Shop, prometheus: Prometheus) -> None:
    """What Grafana asks for its list of services, as Grafana asks Prometheus: each one that hears or says is there."""
    [variable] = DASHBOARD["templating"]["list"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert found
    metric, label = found.groups()
    wanted = {part.name for part in parts()}
    until = time.monotonic() + DATA_SECONDS
    while (listed := prometheus.values(label, metric)) != wanted:
        assert time.monotonic() < until, f"listed {listed}"
        time.sleep(0.5)
    assert prometheus.ask("count(hocket_link_up == 1)") == [len(wanted)]


@pytest.mark.rabbitmq
@pytest.mark.prometheus
def test_every_query_answers_with_data(shop: Shop, prometheus: Prometheus) -> None:
    """After orders, webhooks, an outage of the cards that opens the breaker, one mail beyond help, each has numbers."""
    call(f"{shop.url('sandbox')}/faults", {"target": "cards", "kind": "error", "seconds": OUTAGE_SECONDS})
    mail = {"target": "mail", "kind": "decline", "match": {"to": "customer7@example.com"}}
    call(f"{shop.url('sandbox')}/faults", mail)
    for number in range(ORDERS):
        call(f"{shop.url('orders')}/orders", order(number))
        push(shop, number)
        time.sleep(PAUSE_SECONDS)
    waiting = queries()
    until = time.monotonic() + DATA_SECONDS
    while waiting := [query for query in waiting if not prometheus.ask(query.text)]:
        assert time.monotonic() < until, f"no data: {waiting}"
        time.sleep(0.5)
    outcomes = prometheus.ask('sum(hocket_attempts_total{outcome="handled"})')
    assert outcomes[0] >= ORDERS
