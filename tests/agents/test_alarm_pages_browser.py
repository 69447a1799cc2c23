"""The web page in a real browser: headless Chromium against a real service on loopback."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from alarm_service import OPERATOR, bearer, entries, event, served, settings
from alarm_service import until as until_within
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from vimha.alarms.service import users

pytestmark = pytest.mark.agents
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
EVIL = "<img src=x onerror=document.title='hacked'><script>document.title='hacked'</script>"


def until(true: Callable[[], Any]) -> None:
    """Wait for it; a browser on a loaded machine takes its time."""
    until_within(true, within_s=45)


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    for each in SWITCHES:
        options.add_argument(each)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    made.set_page_load_timeout(60)
    yield made
    made.quit()


class Site:
    """The service, asked by a browser with alice's password and by a source."""

    def __init__(self, browser: WebDriver, port: int) -> None:
        self.port, self.browser = port, browser
        self.root = f"http://127.0.0.1:{port}"
        self._source = httpx.Client(base_url=self.root, headers=bearer(OPERATOR), timeout=60)

    def open(self, path: str = "/") -> None:
        self.browser.get(self.root + path)

    def raised(self, host: str, **more: Any) -> str:
        assert self._source.post("/events", json=event(f"{host} {time.time_ns()}", host, **more)).status_code == 200
        found = self._source.get("/vimfm/v1/alarms", params={"filter": f"(eq,location/host,{host})"}).json()
        return str(found[0]["id"])

    def alarm(self, alarm_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._source.get(f"/vimfm/v1/alarms/{alarm_id}").json()
        return found

    def ask(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def text(self, element_id: str) -> str:
        """In one step: the page may put another element in its place at any time."""
        return str(self.ask(f"return document.getElementById('{element_id}').innerText"))

    def listed(self) -> list[str]:
        found = self.ask("return [...document.querySelectorAll('a.open')].map(each => each.textContent)")
        return [str(each) for each in found]

    def press(self, *keys: str) -> None:
        self.browser.switch_to.active_element.send_keys(*keys)

    def live(self) -> None:
        until(lambda: self.ask("return document.getElementById('state').dataset.is") == "live")

    def complaints(self) -> list[str]:
        """What the browser's console has against the page, a breach of the policy too."""
        said = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [each["message"] for each in said if each["level"] in ("SEVERE", "WARNING")]


@contextmanager
def site(browser: WebDriver, folder: Path) -> Iterator[Site]:
    """A service of its own, and the browser at its first page."""
    chosen = settings(folder)
    entries(folder, users={"alice": {"role": "operator", "password": users.hashed("secret")}})
    with served(chosen) as port:
        browser.get("about:blank")
        browser.get_log("browser")  # type: ignore[no-untyped-call]
        browser.get(f"http://alice:secret@127.0.0.1:{port}/")
        yield Site(browser, port)


def wide(browser: WebDriver, pixels: int) -> None:
    size = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)  # type: ignore[attr-defined]


def test_by_keyboard_alone_an_alarm_is_found_and_acknowledged(browser: WebDriver, tmp_path: Path) -> None:
    with site(browser, tmp_path) as here:
        first, second = here.raised("c1"), here.raised("c2")
        here.open()
        here.live()
        here.press(Keys.TAB)
        assert here.browser.switch_to.active_element.get_attribute("class") == "skip"
        here.press("/")
        here.press("host/c1", Keys.ENTER)
        until(lambda: here.listed() == ["host/c1"])
        assert here.browser.current_url == f"{here.root}/?text=host%2Fc1"
        here.live()
        here.press("j")
        assert here.browser.switch_to.active_element.text == "host/c1"
        here.press("a")
        until(lambda: here.alarm(first)["ackState"] == "ACKNOWLEDGED")
        until(lambda: "by alice" in here.text("live"))
        until(lambda: here.ask("return document.getElementById('news').textContent.includes('Acknowledged')"))
        assert here.ask("return !!document.activeElement.closest('tr[data-alarm]')"), "the focus must stay in the list"
        assert here.alarm(second)["ackState"] == "UNACKNOWLEDGED" and here.alarm(first)["acknowledgedBy"] == "alice"
        here.press("j")
        here.press(Keys.ENTER)
        until(lambda: here.browser.current_url == f"{here.root}/alarms/{first}")
        assert "What to do" in here.browser.find_element(By.TAG_NAME, "main").text
        assert here.complaints() == []


def test_what_happens_is_seen_without_a_reload(browser: WebDriver, tmp_path: Path) -> None:
    with site(browser, tmp_path) as here:
        here.live()
        assert "All is well" in here.text("live")
        here.ask("window.mark = 'the same document'; document.getElementById('search').focus()")
        here.press("typed")
        alarm_id = here.raised("c7", faultDetails=[EVIL])
        until(lambda: here.listed() == ["host/c7"])
        assert "host/c7" in here.ask("return document.getElementById('news').textContent")
        assert here.ask("return document.getElementById('search').value") == "typed"
        assert EVIL in here.text("live")
        httpx.post(f"{here.root}/vimfm/v1/alarms/{alarm_id}/clear", headers=bearer(OPERATOR))
        until(lambda: "All is well" in here.text("live"))
        assert here.ask("return window.mark") == "the same document" and "hacked" not in here.browser.title
        assert here.complaints() == []


def test_the_page_says_since_when_it_is_cut_off_and_goes_on_by_itself(browser: WebDriver, tmp_path: Path) -> None:
    with site(browser, tmp_path) as here:
        here.live()
    until(lambda: "Disconnected since" in here.text("state"))
    assert browser.find_element(By.LINK_TEXT, "Reload").is_displayed()
    with served(settings(tmp_path), here.port):
        entries(tmp_path, users={"alice": {"role": "operator", "password": users.hashed("secret")}})
        here.raised("c9")
        until(lambda: here.listed() == ["host/c9"])
        here.live()


def test_a_narrow_screen_shows_all_without_scrolling_sideways(browser: WebDriver, tmp_path: Path) -> None:
    with site(browser, tmp_path) as here:
        alarm_id = here.raised("a-rather-long-name-of-a-host-" + "x" * 60, faultDetails=["word" * 60])
        here.raised("c2")
        try:
            for pixels in (360, 700, 880, 1280):
                wide(browser, pixels)
                for path in ("/", "/history", f"/alarms/{alarm_id}", "/alarms/none"):
                    here.open(path)
                    width = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
                    content, window = here.ask(width)
                    assert content <= window, (pixels, path)
        finally:
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})  # type: ignore[attr-defined]


def test_the_policy_stops_what_would_run_inline(browser: WebDriver, tmp_path: Path) -> None:
    with site(browser, tmp_path) as here:
        here.ask("document.body.insertAdjacentHTML('beforeend', '<img src=data:x onerror=\"window.bad=1\">')")
        until(lambda: any("Content Security Policy" in each for each in here.complaints()))
        assert here.ask("return window.bad ?? null") is None
