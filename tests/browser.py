"""A person at a headless chromium, for page tests; every step runs beside the event loop that serves the pages."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
#: For `pytestmark` of every file that needs it.
NEEDS_CHROMIUM = [
    pytest.mark.chromium,
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="no chromium and chromedriver on the path"),
]
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip
#: Seconds the browser waits for a condition.
PATIENCE = 20.0


@contextmanager
def chromium(folder: Path) -> Iterator[webdriver.Chrome]:
    """One headless chromium with a profile of its own in `folder`."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Driver(CHROMEDRIVER or ""))
    try:
        yield driver
    finally:
        driver.quit()


class Person:
    """Who looks at pages below one address."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    async def open(self, path: str) -> None:
        """Go to an address, forgetting what the last page complained of."""
        await asyncio.to_thread(self.driver.get_log, "browser")
        await asyncio.to_thread(self.driver.get, self.url + path)

    async def run(self, script: str, *values: Any) -> Any:
        """The value of a script in the page."""
        return await asyncio.to_thread(self.driver.execute_script, script, *values)

    async def until(self, script: str, *values: Any) -> Any:
        """Wait until a script in the page gives something; that."""

        def asked(driver: Any) -> Any:
            return driver.execute_script(script, *values)

        wait = WebDriverWait(self.driver, PATIENCE)
        return await asyncio.to_thread(wait.until, asked, f"never came true: {script}")

    async def see(self, what: Callable[[str], bool] | str) -> str:
        """Wait until the page's text holds this; the text."""

        def shown(driver: Any) -> str | bool:
            text: str = driver.execute_script("return document.body ? document.body.innerText : ''")
            found = what in text if isinstance(what, str) else what(text)
            return text if found else False

        wait = WebDriverWait(self.driver, PATIENCE)
        return str(await asyncio.to_thread(wait.until, shown, f"never seen: {what}"))

    async def press_key(self, keys: str) -> None:
        """Type wherever the focus is."""
        await asyncio.to_thread(ActionChains(self.driver).send_keys(keys).perform)

    async def click(self, selector: str) -> None:
        """Press the first element that matches."""
        await asyncio.to_thread(lambda: self.driver.find_element(By.CSS_SELECTOR, selector).click())

    async def complaints(self) -> list[str]:
        """What the browser wrote to its console: refusals of the policy, script errors, missing files."""
        return [str(each["message"]) for each in await asyncio.to_thread(self.driver.get_log, "browser")]

    async def nodes(self) -> int:
        """How many elements the page has."""
        return int(await self.run("return document.querySelectorAll('*').length"))

    async def sideways(self) -> int:
        """By how many px the page is wider than its window."""
        return int(await self.run("return document.documentElement.scrollWidth - innerWidth"))
