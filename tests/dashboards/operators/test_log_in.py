"""Coming in: right and wrong passwords, waiting, sessions that end, strangers' forms and links."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboards.operators.door import HEADERS, STRICT
from dashboards.operators.log_in import safe_next
from dashboards.operators.visitor import Role
from tests.dashboards.operators.entrance_rig import HOST, PASSWORD, Rig, hidden, log_in, run, send
from tests.secret_file import write_secret


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    made.add("malam")
    return made


def test_a_page_asks_for_a_log_in_and_shows_itself_after_it(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            asked = await browser.get("/parking?zone=a")
            assert (asked.status_code, asked.headers["location"]) == (
                303,
                "/login?next=%2Fparking%3Fzone%3Da",
            )
            answer = await log_in(browser, " MALAM ", then="/parking?zone=a")
            assert (answer.status_code, answer.headers["location"]) == (303, "/parking?zone=a")
            cookie = answer.headers.get_list("set-cookie")[0]
            assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
            shown = await browser.get("/parking")
            assert shown.json()["name"] == "malam"
            assert shown.json()["role"] == "operator"

    run(story)
    assert rig.actions() == [("malam", "log-in", "")]


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            pages = [
                await log_in(browser, "malam", "bukan sandi ini"),
                await log_in(browser, "siapa", "bukan sandi ini"),
                await log_in(browser, "siapa", ""),
            ]
            texts = {page.text for page in pages}
            assert [page.status_code for page in pages] == [401] * 3
            assert len(texts) == 1
            assert "Nama atau kata sandi salah." in texts.pop()
            assert (await browser.get("/")).status_code == 303

    run(story)
    wrong = ("log-in refused", "wrong name or password")
    assert rig.actions() == [("malam", *wrong), ("siapa", *wrong), ("siapa", *wrong)]


@pytest.mark.parametrize("name", ["malam", "siapa"])
def test_who_guesses_has_to_wait_and_is_told_so_whether_the_name_is_there_or_not(rig, name):
    async def story() -> None:
        async with rig.browser() as guesser:
            for _ in range(5):
                assert (await log_in(guesser, name, "salah salah")).status_code == 401
            refused = await log_in(guesser, name, PASSWORD)
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "60"
            assert "60" in refused.text
            rig.clock.passed_s += 60
            assert (await log_in(guesser, name, "salah salah")).status_code == 401
            assert (await log_in(guesser, name, "salah salah")).status_code == 429

    run(story)
    assert rig.actions()[5] == (name, "log-in refused", "too many tries")


def test_who_tries_many_names_from_one_address_waits_and_others_dont(tmp_path):
    rig = Rig(tmp_path, tries=3)
    names = [f"nama{number}" for number in range(12)]
    for name in ["malam", *names]:
        rig.add(name)

    async def story() -> None:
        async with rig.browser() as guesser, rig.browser("198.51.100.2") as other:
            for name in names:
                assert (await log_in(guesser, name, "salah salah")).status_code == 401
            assert (await log_in(guesser, "malam")).status_code == 429
            assert (await log_in(other, "malam")).status_code == 303

    run(story)


def test_the_right_password_costs_no_tries(rig):
    async def story() -> None:
        for _ in range(3):
            async with rig.browser() as browser:
                for _ in range(4):
                    assert (await log_in(browser, "malam", "salah salah")).status_code == 401
                assert (await log_in(browser, "malam")).status_code == 303

    run(story)


def test_logging_out_ends_the_session_and_needs_the_forms_own_token(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            await log_in(browser, "malam")
            token = browser.cookies["gampong_session"]
            form = (await browser.get("/")).json()["form"]
            assert (await send(browser, "/logout", {"form": "0" * 64})).status_code == 403
            assert (await send(browser, "/logout", {})).status_code == 403
            assert (await browser.get("/")).status_code == 200
            out = await send(browser, "/logout", {"form": form})
            assert (out.status_code, out.headers["location"]) == (303, "/login")
            browser.cookies.clear()
            browser.cookies.set("gampong_session", token)
            assert (await browser.get("/")).status_code == 303

    run(story)
    assert rig.actions()[-1] == ("malam", "log-out", "")


def test_a_session_ends_when_nobody_looks_any_more(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            await log_in(browser, "malam")
            for _ in range(3):
                rig.clock.passed_s += 119 * 60
                assert (await browser.get("/")).status_code == 200
            rig.clock.passed_s += 121 * 60
            assert (await browser.get("/")).status_code == 303

    run(story)


def test_a_session_ends_after_its_hours_though_somebody_looks(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            await log_in(browser, "malam")
            for _ in range(23):
                rig.clock.passed_s += 3600
                assert (await browser.get("/")).status_code == 200
            rig.clock.passed_s += 3600
            assert (await browser.get("/")).status_code == 303

    run(story)


@pytest.mark.parametrize("change", ["role", "password", "remove"])
def test_a_change_of_the_account_ends_its_sessions_and_what_holds_on_to_them(rig, change):
    told = []

    async def ended() -> None:
        told.append("ended")

    async def story() -> None:
        async with rig.browser() as browser:
            await log_in(browser, "malam")
            session = rig.sessions.find(browser.cookies["gampong_session"])
            rig.sessions.hold(session.digest, ended)
            await rig.sessions.look()
            assert told == []
            if change == "role":
                rig.accounts.set_role("malam", Role.VIEWER, rig.clock.now_ms())
            elif change == "password":
                rig.accounts.set_password("malam", "sandi yang baru", rig.clock.now_ms())
            else:
                rig.accounts.remove("malam")
            assert (await browser.get("/")).status_code == 303
            await rig.sessions.look()
            assert told == ["ended"]

    run(story)


def test_an_open_page_keeps_its_session_until_its_hours_are_over(rig):
    told = []

    async def ended() -> None:
        told.append(rig.clock.passed_s)

    async def story() -> None:
        async with rig.browser() as browser:
            await log_in(browser, "malam")
            session = rig.sessions.find(browser.cookies["gampong_session"])
            rig.sessions.hold(session.digest, ended)
            for _ in range(48):
                rig.clock.passed_s += 1800
                await rig.sessions.look()

    run(story)
    assert told == [24 * 3600.0]


def test_a_strangers_form_and_a_strangers_page_change_nothing(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            form = (await browser.get("/login")).text
            fields = {"name": "malam", "password": PASSWORD, "next": "/", "token": hidden(form)}
            for origin in ("https://evil.example", "null", ""):
                assert (await send(browser, "/login", fields, origin)).status_code == 403
            browser.cookies.clear()  # another browser has another form's cookie, or none
            assert (await send(browser, "/login", fields)).status_code == 403
            await log_in(browser, "malam")
            form = (await browser.get("/")).json()["form"]
            for origin in ("https://evil.example", "null", ""):
                assert (await send(browser, "/logout", {"form": form}, origin)).status_code == 403
            cross = {"origin": "https://evil.example"}
            assert (await browser.get("/api/state", headers=cross)).status_code == 403
            assert (await browser.get("/")).json()["name"] == "malam"

    run(story)


def test_a_browser_that_hides_the_origin_may_say_that_it_is_the_same(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            form = (await browser.get("/login")).text
            fields = {"name": "malam", "password": PASSWORD, "token": hidden(form)}
            browser.headers["sec-fetch-site"] = "cross-site"
            assert (await send(browser, "/login", fields, origin="")).status_code == 403
            browser.headers["sec-fetch-site"] = "same-origin"
            assert (await send(browser, "/login", fields, origin="")).status_code == 303

    run(story)


def test_every_answer_has_the_headers(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            for path in ("/", "/login", "/api/state", "/nowhere", f"/{'x' * 3000}"):
                answer = await browser.get(path)
                assert (
                    HEADERS.items()
                    <= {name: answer.headers.get(name, "") for name in HEADERS}.items()
                ), path
                assert answer.headers["content-security-policy"] == STRICT
            await log_in(browser, "malam")
            answer = await browser.get("/")
            assert answer.headers["x-content-type-options"] == "nosniff"

    run(story)


def test_an_api_says_401_and_not_a_page(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            answer = await browser.get("/api/state")
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"

    run(story)


def test_who_sends_the_token_reads_the_state_and_nothing_else(tmp_path):
    file = tmp_path / "state.token"
    write_secret(file, "rahasia-rahasia-rahasia-1\n")
    rig = Rig(tmp_path, token_file=str(file))

    async def story() -> None:
        async with rig.browser() as browser:
            browser.headers["authorization"] = "Bearer rahasia-rahasia-rahasia-1"
            assert (await browser.get("/api/state")).status_code == 200
            assert (await browser.get("/parking")).status_code == 303
            file.write_text("rahasia-rahasia-rahasia-2\n")
            assert (await browser.get("/api/state")).status_code == 401
            browser.headers["authorization"] = "Bearer rahasia-rahasia-rahasia-2"
            assert (await browser.get("/api/state")).status_code == 200
            file.chmod(0o646)
            file.write_text("from somebody else\n")  # isn't taken up
            assert (await browser.get("/api/state")).status_code == 200
            browser.headers["authorization"] = "Bearer from somebody else"
            assert (await browser.get("/api/state")).status_code == 401
            file.chmod(0o600)
            file.write_text("")
            browser.headers["authorization"] = "Bearer "
            assert (await browser.get("/api/state")).status_code == 401

    run(story)


def test_behind_https_the_cookie_is_bound_to_the_host_and_to_https(tmp_path):
    rig = Rig(tmp_path, https=True)
    rig.add("malam")

    async def story() -> None:
        async with rig.browser() as browser:
            browser.base_url = httpx.URL("https://city.example")
            form = (await browser.get("/login")).text
            fields = {"name": "malam", "password": PASSWORD, "token": hidden(form)}
            answer = await send(browser, "/login", fields, "https://city.example")
            cookie = answer.headers.get_list("set-cookie")[0]
            assert cookie.startswith("__Host-gampong=")
            assert "Secure" in cookie.split("; ")

    run(story)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"name=a&" * 2000, b"a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9", b"{}"],
)
def test_nonsense_at_the_log_in_is_a_plain_4xx(rig, body):
    async def story() -> None:
        async with rig.browser() as browser:
            for kind in ("application/x-www-form-urlencoded", "application/json", "text/plain", ""):
                headers = {"origin": HOST, "content-type": kind}
                answer = await browser.post("/login", content=body, headers=headers)
                assert 400 <= answer.status_code < 500

    run(story)


def test_what_was_tried_as_a_name_never_becomes_markup_nor_a_line_of_its_own(rig):
    async def story() -> None:
        async with rig.browser() as browser:
            answer = await log_in(browser, "<b>x\n</b>", then='/"><script>alert(1)</script>')
            assert "<script>" not in answer.text
            assert "<b>" not in answer.text

    run(story)
    ((who, *_),) = rig.actions()
    assert "\n" not in who


EVIL = ["//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", "///x", ""]


@given(st.one_of(st.text(), st.from_regex(r"[/\\]{0,4}[a-z.\t\n@:?#]{0,20}")))
@example("/%2F/evil.example")
@example("/login?next=//evil.example")
def test_after_the_log_in_one_is_always_still_here(asked):
    found = safe_next(asked)
    joined = urlsplit(urljoin(f"{HOST}/login", found.replace("\t", "").replace("\n", "")))
    assert (joined.scheme, joined.netloc) == ("http", "city.example")
    assert found == asked or found == "/"


@pytest.mark.parametrize("asked", EVIL)
def test_an_address_of_somebody_elses_is_never_gone_to(rig, asked):
    async def story() -> None:
        async with rig.browser() as browser:
            form = (await browser.get("/login")).text
            fields = {"name": "malam", "password": PASSWORD, "token": hidden(form), "next": asked}
            assert (await send(browser, "/login", fields)).headers["location"] == "/"

    run(story)
