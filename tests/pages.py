"""Reading rendered pages in tests."""

from __future__ import annotations

from typing import Any

from lxml import html


def parse(response: Any) -> Any:
    return html.fromstring(response.content.decode())


def texts(response: Any, selector: str) -> list[str]:
    """The trimmed texts of the elements an XPath selects."""
    return [" ".join(found.text_content().split()) for found in parse(response).xpath(selector)]


def inline_code(response: Any) -> list[str]:
    """Everything the content security policy would refuse to run or apply."""
    page = parse(response)
    scripts = [each for each in page.xpath("//script[not(@src)]") if each.get("type") != "application/json"]
    handlers = page.xpath("//@*[starts-with(name(), 'on') or starts-with(name(), 'hx-on')]")
    evaluated = [
        value for value in page.xpath("//@*[starts-with(name(), 'hx-')]") if value.startswith(("js:", "javascript:"))
    ]
    links = [
        value for value in page.xpath("//@href | //@src | //@action") if value.startswith(("javascript:", "data:"))
    ]
    return [
        *map(html.tostring, scripts),
        *page.xpath("//style"),
        *page.xpath("//@style"),
        *handlers,
        *evaluated,
        *links,
    ]
